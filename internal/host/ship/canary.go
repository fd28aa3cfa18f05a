package ship

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// Canary is a line that somebody wrote to the journal, to see it arrive in CloudWatch
// Logs. Word is in it and nowhere else.
type Canary struct {
	Root string
	Kind settings.Log
	Word string

	// end is where the line ends in the spool, once it was there.
	end position
}

// Delivered tells whether CloudWatch Logs has acknowledged the line, or how far it came.
func (c *Canary) Delivered() error {
	s := &Shipper{Root: c.Root}
	in := &source{dir: s.path(journalDir, string(c.Kind)), suffix: chain.Lines, name: "journal-" + string(c.Kind), spool: true}
	if c.end.Segment == 0 {
		if err := c.find(in); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(s.stateFile(in))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var st state
	if len(text) > 0 {
		if err := json.Unmarshal(text, &st); err != nil {
			return err
		}
	}
	if at := st.Logs; at.Segment < c.end.Segment || at.Segment == c.end.Segment && at.Offset < c.end.Offset {
		return errors.New("a line of the journal was read, and CloudWatch Logs has not taken it")
	}
	return nil
}

// find looks for the line in the spool, of which what was delivered goes.
func (c *Canary) find(in *source) error {
	numbers := in.numbers()
	for _, n := range numbers[max(0, len(numbers)-3):] {
		text, err := os.ReadFile(segmentPath(in.dir, n, in.suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if at := bytes.Index(text, []byte(c.Word)); at >= 0 {
			if line := bytes.IndexByte(text[at:], '\n'); line >= 0 {
				c.end = position{Segment: n, Offset: int64(at + line + 1)}
				return nil
			}
		}
	}
	return errors.New("a line that was written to the journal is not read from it")
}
