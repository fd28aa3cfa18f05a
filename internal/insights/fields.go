package insights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is a line in a log stream.
type Event struct {
	Time    time.Time
	Account string // of the log group
	Group   string
	Stream  string
	Message string
}

// maxFields is how many fields of one line of JSON are found.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
const maxFields = 200

// value of a field in one row. Numbers keep the text that they came as.
type value struct {
	kind valueKind
	text string
	num  float64
}

type valueKind int

const (
	missing valueKind = iota
	textual
	numeric
	moment // num has milliseconds since 1970
	boolean
)

func textOf(s string) value { return value{kind: textual, text: s} }

func numberOf(n float64) value {
	return value{kind: numeric, text: strconv.FormatFloat(n, 'f', -1, 64), num: n}
}

func momentOf(t time.Time) value { return value{kind: moment, num: float64(t.UnixMilli())} }

// String is the value as results have it.
func (v value) String() string {
	if v.kind == moment {
		return time.UnixMilli(int64(v.num)).UTC().Format("2006-01-02 15:04:05.000")
	}
	return v.text
}

// number is what a value counts as, where it counts: text that is a number does.
func (v value) number() (float64, bool) {
	switch v.kind {
	case numeric, moment:
		return v.num, true
	case textual:
		n, err := strconv.ParseFloat(v.text, 64)
		return n, err == nil && plainNumber(v.text)
	default:
		return 0, false
	}
}

// plainNumber leaves out what only Go takes for a number: 0x10, 1_000, Inf.
func plainNumber(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && !strings.ContainsRune("+-.eE", r) })
}

// row is an event, or a group of them, on its way through a query.
type row struct {
	values map[string]value
	// cut says that the event has more fields than are found.
	cut bool
}

func rowOf(e Event) (*row, error) {
	r := &row{values: map[string]value{
		"@timestamp": momentOf(e.Time),
		"@message":   textOf(e.Message),
		"@logStream": textOf(e.Stream),
		"@log":       textOf(e.Account + ":" + e.Group),
	}}
	trimmed := strings.TrimSpace(e.Message)
	if strings.HasPrefix(trimmed, "{") && json.Valid([]byte(trimmed)) {
		return r, r.addJSON(trimmed)
	}
	r.addFlow(trimmed)
	return r, nil
}

var errEnough = errors.New("enough")

func (r *row) addJSON(message string) error {
	decoder := json.NewDecoder(strings.NewReader(message))
	decoder.UseNumber()
	err := r.walk(decoder, "", new(int))
	if errors.Is(err, errEnough) {
		r.cut = true
		return nil
	}
	return err
}

// walk reads one value of JSON and what is in it, in order.
func (r *row) walk(decoder *json.Decoder, path string, found *int) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	var v value
	switch token := token.(type) {
	case json.Delim:
		for i := 0; decoder.More(); i++ {
			key := strconv.Itoa(i)
			if token == '{' {
				name, err := decoder.Token()
				if err != nil {
					return err
				}
				key = fmt.Sprint(name)
				if path == "" && strings.HasPrefix(key, "@") {
					key = "@" + key
				}
			}
			if path != "" {
				key = path + "." + key
			}
			if err := r.walk(decoder, key, found); err != nil {
				return err
			}
		}
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	case string:
		v = textOf(token)
	case json.Number:
		n, err := token.Float64()
		if err != nil {
			return err
		}
		v = value{kind: numeric, text: token.String(), num: n}
	case bool:
		v = value{kind: boolean, text: strconv.FormatBool(token)}
	default:
		return nil // null is no field
	}
	if *found++; *found > maxFields {
		return errEnough
	}
	r.values[path] = v
	return nil
}

// discovered are the names of the fields of the default format of VPC flow logs.
var discovered = []string{
	"version", "accountId", "interfaceId", "srcAddr", "dstAddr", "srcPort", "dstPort",
	"protocol", "packets", "bytes", "startTime", "endTime", "action", "logStatus",
}

func (r *row) addFlow(message string) {
	parts := strings.Fields(message)
	if len(parts) != len(discovered) || parts[0] != "2" || !strings.HasPrefix(parts[2], "eni-") {
		return
	}
	for i, part := range parts {
		r.values[discovered[i]] = textOf(part)
	}
}

// get is a field's value.
func (r *row) get(field string) (value, error) {
	v, there := r.values[field]
	if !there && r.cut {
		return v, fmt.Errorf("%s may be beyond the %d fields that are found in a line", field, maxFields)
	}
	return v, nil
}

// usable is a field's value for everything that treats Booleans in a way of its own.
func (r *row) usable(field string) (value, error) {
	v, err := r.get(field)
	if err == nil && v.kind == boolean {
		err = fmt.Errorf("%s is a Boolean: how one compares and shows is not documented", field)
	}
	return v, err
}

// Fields are the names of the fields that are found in a line, sorted.
func Fields(message string) ([]string, error) {
	r, err := rowOf(Event{Message: message})
	if err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Keys(r.values))
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "@") && !strings.HasPrefix(name, "@@") })
	slices.Sort(names)
	return names, nil
}
