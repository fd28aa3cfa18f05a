package chain

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Each calls yield with each line of the record itself, without its line break and
// in order: neither with marks nor with what a crash left of a line.
func (r Record) Each(fsys fs.FS, yield func(line []byte) error) error {
	last := 0
	for _, s := range r.Segments {
		if s.Number == last {
			continue
		}
		last = s.Number
		text, err := fs.ReadFile(fsys, s.Path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if _, mark := ParseMark(line); mark || !validJSON(line) {
				continue
			}
			if err := yield(line); err != nil {
				return err
			}
		}
	}
	return nil
}

var errStop = errors.New("enough")

// Header reads the first line of a recording.
func (r Record) Header(fsys fs.FS) (Header, error) {
	var h Header
	err := r.Each(fsys, func(line []byte) error { return errors.Join(errStop, json.Unmarshal(line, &h)) })
	switch {
	case err == nil:
		return h, fmt.Errorf("%s: it has no header", r.Name)
	case h.Version != 2:
		return h, fmt.Errorf("%s: it does not begin with the header of an asciicast", r.Name)
	}
	return h, nil
}

// WriteCast writes a recording as one asciicast file.
func (r Record) WriteCast(fsys fs.FS, w io.Writer) error {
	if r.Suffix != Cast {
		return fmt.Errorf("%s is a log, not the recording of a session", r.Name)
	}
	out := bufio.NewWriter(w)
	if err := r.Each(fsys, func(line []byte) error {
		_, err := out.Write(append(line, '\n'))
		return err
	}); err != nil {
		return err
	}
	return out.Flush()
}

// Events calls yield with each event of a recording, with the exact bytes of those
// that are no text.
func (r Record) Events(fsys fs.FS, yield func(Event) error) error {
	var held *Event
	flush := func() error {
		if held == nil {
			return nil
		}
		e := *held
		held = nil
		return yield(e)
	}
	if err := r.Each(fsys, func(line []byte) error {
		e, err := ParseEvent(line)
		if err != nil {
			return nil //nolint:nilerr // the header, or what another version of us writes
		}
		exact := e.Code == EventExactOutput && held != nil && held.Code == EventOutput ||
			e.Code == EventExactInput && held != nil && held.Code == EventInput
		if exact {
			if data, err := base64.StdEncoding.DecodeString(e.Data); err == nil {
				held.Data = string(data)
				return flush()
			}
		}
		if err := flush(); err != nil {
			return err
		}
		held = &e
		return nil
	}); err != nil {
		return err
	}
	return flush()
}

// WriteScript writes the two files that scriptreplay of util-linux takes.
func (r Record) WriteScript(fsys fs.FS, timing, typescript io.Writer) error {
	if r.Suffix != Cast {
		return fmt.Errorf("%s is a log, not the recording of a session", r.Name)
	}
	h, err := r.Header(fsys)
	if err != nil {
		return err
	}
	times, out := bufio.NewWriter(timing), bufio.NewWriter(typescript)
	// scriptreplay leaves the first line out.
	if _, err := fmt.Fprintf(out, "Script started on %s [%s]\n", h.Session.Start.UTC().Format(time.RFC3339), Printable(r.Name)); err != nil {
		return err
	}
	before := 0.0
	if err := r.Events(fsys, func(e Event) error {
		if e.Code != EventOutput || e.Data == "" {
			return nil
		}
		delay := max(0, e.Time-before)
		before = max(before, e.Time)
		_, err := fmt.Fprintf(times, "%.6f %d\n", delay, len(e.Data))
		if err == nil {
			_, err = out.WriteString(e.Data)
		}
		return err
	}); err != nil {
		return err
	}
	return errors.Join(times.Flush(), out.Flush())
}

// Length is the time of the last event of a recording.
func (r Record) Length(fsys fs.FS) time.Duration {
	if len(r.Segments) == 0 {
		return 0
	}
	text, err := fs.ReadFile(fsys, r.Segments[len(r.Segments)-1].Path)
	if err != nil {
		return 0
	}
	return lastTime(text)
}

// List writes a table of the sessions in fsys: who, from where, when, how long, and
// whether the record is whole.
func List(w io.Writer, fsys fs.FS, leave Leave) error {
	records, err := Find(fsys)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := []string{"SESSION\tPERSON\tFROM\tSTART (UTC)\tLENGTH\tINSTANCE\tRECORD"}
	for _, r := range records {
		if r.Suffix != Cast {
			continue
		}
		h, err := r.Header(fsys)
		if err != nil {
			h = Header{}
		}
		report, err := r.Verify(fsys, leave)
		if err != nil {
			return err
		}
		whole := "whole"
		switch {
		case report.Fault != nil:
			whole = report.Fault.Error()
		case !report.Ended:
			whole = "whole so far"
		}
		s := h.Session
		rows = append(rows, strings.Join([]string{
			Printable(r.Name), Printable(s.Person), Printable(s.Address), s.Start.UTC().Format("2006-01-02 15:04:05"),
			r.Length(fsys).Round(time.Second).String(), Printable(s.Instance), Printable(whole),
		}, "\t"))
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, row); err != nil {
			return err
		}
	}
	return table.Flush()
}

// Show writes the logs in fsys as text, one line for each of their lines.
func Show(w io.Writer, fsys fs.FS) error {
	records, err := Find(fsys)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for _, r := range records {
		if r.Suffix != Lines {
			continue
		}
		if err := r.Each(fsys, func(line []byte) error {
			_, err := fmt.Fprintln(out, Text(line))
			return err
		}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Text is one line of a log as a person reads it: time, session, address, person,
// directory, what happened.
func Text(line []byte) string {
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return Printable(string(line))
	}
	get := func(name string) string {
		v, there := fields[name]
		delete(fields, name)
		switch v := v.(type) {
		case string:
			return v
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		case []any:
			words := make([]string, len(v))
			for i, word := range v {
				words[i] = fmt.Sprint(word)
			}
			return strings.Join(words, " ")
		}
		if !there {
			return ""
		}
		return fmt.Sprint(v)
	}
	words := []string{get("time"), get("session"), get("address"), get("person"), get("dir"), get("event")}
	for _, name := range []string{"line", "argv", "command", "status", "name", "text", "reason", "why"} {
		words = append(words, get(name))
	}
	kept := words[:0]
	for _, word := range words {
		if word != "" {
			kept = append(kept, Printable(word))
		}
	}
	if len(kept) == 0 {
		return Printable(string(line))
	}
	return strings.Join(kept, "  ")
}

// Printable is text that does nothing to the terminal it is shown on, whoever wrote
// it.
func Printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
