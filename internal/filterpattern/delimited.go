package filterpattern

import "strings"

// column is one field of a space-delimited pattern. The ellipsis stands for any
// number of them.
type column struct {
	name     string
	ellipsis bool
	judge    condition
}

// delimited reads [a, b = c, ..., d].
func (p *parser) delimited() (func(string) Verdict, error) {
	var columns []column
	ellipsis := -1
	for {
		c, err := p.column()
		if err != nil {
			return nil, err
		}
		if c.ellipsis {
			if ellipsis >= 0 {
				return nil, p.fault("a pattern can have one ellipsis")
			}
			ellipsis = len(columns)
		}
		columns = append(columns, c)
		p.space()
		if p.take("]") {
			if len(columns) == 1 && c.name == "" && !c.ellipsis {
				return nil, p.fault("the pattern names no field")
			}
			break
		}
		if !p.take(",") {
			return nil, p.fault(`expected "," or "]"`)
		}
	}
	return func(line string) Verdict { return judgeColumns(columns, ellipsis, line) }, nil
}

func judgeColumns(columns []column, ellipsis int, line string) Verdict {
	fields, regular := split(line)
	if !regular {
		return Undocumented
	}
	before, after := columns, []column(nil)
	if ellipsis >= 0 {
		before, after = columns[:ellipsis], columns[ellipsis+1:]
	}
	switch named := len(before) + len(after); {
	case len(fields) < named:
		return Differs
	case len(fields) > named && ellipsis < 0:
		// One of AWS's examples takes the last of two fields for the rest of the line,
		// others count every field.
		return all(Undocumented, judgeEach(before, fields))
	}
	return all(judgeEach(before, fields), judgeEach(after, fields[len(fields)-len(after):]))
}

func judgeEach(columns []column, fields []string) Verdict {
	result := Matches
	for i, c := range columns {
		if c.judge != nil {
			result = all(result, c.judge(fields[i]))
		}
	}
	return result
}

func (p *parser) column() (column, error) {
	p.space()
	if p.take("...") {
		return column{ellipsis: true}, nil
	}
	start := p.at
	c := column{name: p.run(wordCharacter)}
	if p.space(); c.name == "" || p.done() || p.text[p.at] == ',' || p.text[p.at] == ']' {
		return c, nil
	}
	p.at = start
	judge, err := p.expression(0, func() (condition, error) {
		if name := p.run(wordCharacter); name != c.name {
			return nil, p.fault("expected a condition on %s", c.name)
		}
		p.space()
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		return func(field any) Verdict { return o.field(field.(string)) }, nil
	})
	c.judge = judge
	return c, err
}

// split takes a line apart at its blanks. What stands in brackets or quotation marks
// is one field. A line whose fields the documentation does not explain is irregular.
func split(line string) (fields []string, regular bool) {
	if strings.ContainsAny(line, "\t\r\n") || strings.TrimSpace(line) != line || line == "" {
		return nil, false
	}
	for rest := line; ; {
		var field string
		switch rest[0] {
		case ' ':
			return nil, false
		case '[', '"':
			mark := byte('"')
			if rest[0] == '[' {
				mark = ']'
			}
			end := strings.IndexByte(rest[1:], mark)
			if end < 0 {
				return nil, false
			}
			field, rest = rest[1:end+1], rest[end+2:]
			if rest != "" && rest[0] != ' ' {
				return nil, false
			}
		default:
			end := strings.IndexByte(rest, ' ')
			if end < 0 {
				end = len(rest)
			}
			field, rest = rest[:end], rest[end:]
			if strings.ContainsAny(field, `"[]`) {
				return nil, false
			}
		}
		fields = append(fields, field)
		if rest == "" {
			return fields, true
		}
		if rest = rest[1:]; rest == "" {
			return nil, false
		}
	}
}
