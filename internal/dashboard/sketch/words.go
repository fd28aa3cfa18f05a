package sketch

import (
	"fmt"
	"html"
	"regexp"
	"strings"
)

var (
	button   = regexp.MustCompile(`\[button:(primary:)?([^\]]+)\]\([^)]*\)`)
	anchor   = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
	emphasis = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// markdown draws as much of it as dashboards use: titles, buttons, tables, words.
func (c *canvas) markdown(text string, b box) {
	y := b.y + 6
	for _, s := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(s, "### "):
			y += 22
			c.text(b.x, y, 14, ink, bold, s[4:])
			y += 4
		case strings.HasPrefix(s, "## "):
			y += 20
			c.text(b.x, y, 17, ink, bold, s[3:])
			y += 4
		case strings.HasPrefix(s, "# "):
			y += 24
			c.text(b.x, y, 22, ink, bold, s[2:])
			y += 6
		case strings.HasPrefix(s, "|:"), strings.HasPrefix(s, "|-"):
			c.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`, b.x, y+4, b.x+b.w, y+4, border)
			y += 4
		case strings.HasPrefix(s, "|"):
			cells := strings.Split(strings.Trim(s, "|"), "|")
			y += 17
			for i, cell := range cells {
				x, style := b.x, ""
				if i == len(cells)-1 {
					x, style = b.x+b.w, atEnd
				}
				if emphasis.MatchString(cell) {
					style += bold
				}
				c.text(x, y, 11.5, ink, style, clip(emphasis.ReplaceAllString(strings.TrimSpace(cell), "$1"), b.w-60, 11.5))
			}
		case strings.TrimSpace(s) == "":
			y += 6
		default:
			y += 20
			c.words(s, b.x, y, b.w)
		}
	}
}

// words is a line with buttons and links in it.
func (c *canvas) words(s string, x, y, width float64) {
	end := x + width
	for s != "" {
		at := button.FindStringSubmatchIndex(s)
		before := s
		if at != nil {
			before = s[:at[0]]
		}
		if plain := emphasis.ReplaceAllString(anchor.ReplaceAllString(before, "$1"), "$1"); strings.TrimSpace(plain) != "" {
			for _, part := range wrap(strings.TrimSpace(plain), end-x) {
				c.text(x, y, 12, faint, "", part)
				x, y = end-width, y+16
			}
		}
		if at == nil {
			return
		}
		label, primary := s[at[4]:at[5]], at[2] >= 0
		wide := float64(len([]rune(label)))*6.6 + 24
		fill, color := card, link
		if primary {
			fill, color = link, card
		}
		c.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="24" rx="12" fill="%s" stroke="%s"/>`, x, y-16, wide, fill, link)
		c.printf(`<text x="%.1f" y="%.1f" font-size="12" fill="%s"%s%s>%s</text>`, x+wide/2, y, color, bold, middle, html.EscapeString(label))
		x += wide + 10
		s = s[at[1]:]
	}
}

func wrap(text string, width float64) []string {
	most := int(width / 6.2)
	var list []string
	current := ""
	for _, word := range strings.Fields(text) {
		if current != "" && len([]rune(current))+1+len([]rune(word)) > most {
			list = append(list, current)
			current = ""
		}
		current = strings.TrimSpace(current + " " + word)
	}
	return append(list, current)
}

var (
	fieldsOf = regexp.MustCompile(`(?s)(?:^|\|)\s*(?:fields|display)\s+([^|]*)`)
	statsOf  = regexp.MustCompile(`(?s)\|?\s*stats\s+([^|]*)`)
	source1  = regexp.MustCompile(`SOURCE '[^']*' \| `)
)

// columns of the answer to a query.
func columns(query string) []string {
	query = source1.ReplaceAllString(query, "")
	var list []string
	if match := statsOf.FindStringSubmatch(query); match != nil {
		counted, by, _ := strings.Cut(match[1], " by ")
		for _, part := range append(split(by), split(counted)...) {
			list = append(list, named(part))
		}
	} else if all := fieldsOf.FindAllStringSubmatch(query, -1); all != nil {
		for _, part := range split(all[len(all)-1][1]) {
			list = append(list, named(part))
		}
	}
	if len(list) == 0 {
		list = []string{"@timestamp", "@message"}
	}
	return list
}

// split is at commas outside of parentheses.
func split(text string) []string {
	var list []string
	depth, from := 0, 0
	for i, letter := range text {
		switch letter {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case ',':
			if depth == 0 {
				list = append(list, text[from:i])
				from = i + 1
			}
		}
	}
	return append(list, text[from:])
}

func named(part string) string {
	part = strings.TrimSpace(part)
	if i := strings.LastIndex(part, " as "); i >= 0 {
		return strings.TrimSpace(part[i+4:])
	}
	return part
}

// samples are made-up values, by column.
var samples = map[string][]string{
	"@timestamp": {"12:04:31", "11:47:02", "11:20:58", "10:31:45", "09:58:13", "09:12:20"}, "time": {"12:04:31", "11:47:02", "11:20:58", "10:31:45", "09:58:13", "09:12:20"},
	"since": {"11:47:02", "11:20:58", "09:12:20"}, "firstSeen": {"11:09:40", "09:31:02", "10:00:19"}, "lastSeen": {"11:12:07", "11:58:44", "10:00:19"},
	"person": {"alice", "bob", "carol", "alice", "dan", "bob"}, "who": {"alice", "bob", "carol", "alice", "dan", "bob"}, "account": {"root", "admin", "test"},
	"address": {"203.0.113.10", "203.0.113.24", "198.51.100.7", "203.0.113.10", "203.0.113.31", "203.0.113.24"},
	"source":  {"192.0.2.77", "192.0.2.140", "198.51.100.23", "192.0.2.9"},
	"host":    {"i-0a1b2c3d", "i-0a1b2c3d", "i-0a1b2c3d"}, "instance": {"i-0a1b2c3d", "i-0a1b2c3d", "i-0a1b2c3d", "i-0f9e8d7c", "i-0f9e8d7c", "i-0f9e8d7c"},
	"event": {"begin", "begin", "begin", "begin", "refused", "begin"}, "session": {"20261122T120431Z-1a2b", "20261122T114702Z-9c0d", "20261122T112058Z-77e1", "20261122T103145Z-5f20", "20261122T095813Z-b3a4", "20261122T091220Z-0d6e"},
	"sessionId": {"alice-0e34861185201706f", "bob-09a1f2c47d3e5b680", "carol-0b7c2d9e1f4a35687"}, "fingerprint": {"SHA256:Zk3f…", "SHA256:q9Lw…", "SHA256:T0vd…", "SHA256:Zk3f…", "SHA256:8mXa…", "SHA256:q9Lw…"},
	"reason": {"", "", "", "", "key expired", ""}, "action": {"added", "changed", "removed"}, "name": {"check-failed", "shipping-behind"},
	"connections": {"14", "3", "1", "1"}, "accounts": {"6", "1", "1", "1"}, "records": {"42", "9", "2", "1"}, "errorCode": {"AccessDenied", "AccessDenied"},
	"eventName": {"StartSession", "OpenTunnel", "StartSession"}, "target": {"i-0a1b2c3d", "10.0.3.17", "i-0a1b2c3d"}, "document": {"Postern-Shell", "", "Postern-Orders"}, "object": {"public-keys/alice.pub", "public-keys/bob.pub", "public-keys/carol.pub"}, "version": {"3sL4k…", "Xy8Q1…", "p0Wd7…"},
	"what": {"shipping: 4 s behind", "an instance was replaced", "clock: 0.2 s off"}, "@logStream": {"i-0a1b2c3d/host", "i-0a1b2c3d/host"}, "last": {"begin", "begin", "begin"},
}

func (c *canvas) table(query string, b box) {
	heads := columns(query)
	const each = 21.0
	most := min(len(heads), max(2, int(b.w/105)))
	wide := b.w / float64(most)
	for i, head := range heads[:most] {
		c.text(b.x+float64(i)*wide, b.y+10, 11, faint, bold, clip(head, wide-6, 11))
	}
	c.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`, b.x, b.y+16, b.x+b.w, b.y+16, border)
	length := 0
	for _, head := range heads[:most] {
		length = max(length, len(samples[head]))
	}
	for _, head := range heads[:most] {
		if n := len(samples[head]); n > 0 {
			length = min(length, n)
		}
	}
	for r := range length {
		y := b.y + 16 + each*float64(r+1) - 6
		if y > b.y+b.h+8 {
			return
		}
		for i, head := range heads[:most] {
			if list := samples[head]; len(list) > 0 {
				c.text(b.x+float64(i)*wide, y, 11, ink, ` font-family="Menlo, Consolas, 'DejaVu Sans Mono', monospace"`, clip(list[r], wide-6, 11.6))
			}
		}
		c.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`, b.x, y+6, b.x+b.w, y+6, lines)
	}
	if length == 0 {
		c.text(b.x, b.y+36, 11, faint, "", fmt.Sprintf("%d columns", len(heads)))
	}
}
