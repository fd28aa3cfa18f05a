//go:build linux

package recorder

import (
	"bufio"
	_ "embed"
	"errors"
	"io"
	"strconv"
	"strings"
)

//go:embed hook.bash
var hookScript []byte

// maxField is what is kept of a typed line.
const maxField = 16 << 10

// report is what the hook of a session's shell tells. It is the person's own word.
type report struct {
	// kind is "typed", "start" or an exit status.
	kind, dir, line string
	// number is the line's in the shell's history.
	number int
	cut    bool
}

// reports reads what a hook tells until its pipe ends.
func reports(r io.Reader, take func(report)) {
	buffered := bufio.NewReaderSize(r, 4<<10)
	for {
		var fields [3]string
		var cut bool
		for i := range fields {
			text, long, err := readField(buffered)
			if err != nil {
				return
			}
			fields[i], cut = text, cut || long
		}
		p := report{kind: fields[0], dir: clean(fields[1]), cut: cut}
		// "  123* the line", as history writes it.
		number, line, _ := strings.Cut(strings.TrimLeft(strings.TrimSuffix(fields[2], "\n"), " "), " ")
		p.number, _ = strconv.Atoi(strings.TrimSuffix(number, "*"))
		p.line = clean(strings.TrimPrefix(line, " "))
		take(p)
	}
}

// readField reads up to a zero byte, and keeps no more than maxField of it.
func readField(r *bufio.Reader) (string, bool, error) {
	var all []byte
	cut := false
	for {
		part, err := r.ReadSlice(0)
		if err == nil {
			part = part[:len(part)-1]
		}
		if room := maxField - len(all); len(part) > room {
			part, cut = part[:room], true
		}
		all = append(all, part...)
		if err == nil {
			return string(all), cut, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", cut, err
		}
	}
}
