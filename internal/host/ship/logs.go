package ship

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// Limits of PutLogEvents, with room to spare: 1,048,576 bytes a request with 26 of
// overhead an event, 10,000 events, 1 MB an event (256 KB until 2025), 24 hours.
const (
	requestBytes  = 1_000_000
	requestEvents = 10_000
	eventBytes    = 200 << 10
	eventOverhead = 26
	requestSpan   = 23 * time.Hour
)

// timeout of one request: a service that never answers is one that failed.
const timeout = 30 * time.Second

// shipLogs sends lines of a source until there are none, or something fails.
func (s *Shipper) shipLogs(ctx context.Context, c *source) error {
	for range 32 { // then the others have their turn
		c.mu.Lock()
		careful := c.logs.careful
		c.mu.Unlock()
		limit := requestEvents
		if careful {
			limit = 1
		}
		b, err := c.read(s.now(), limit)
		if err != nil {
			return err
		}
		if b.missing > 0 {
			s.Log.Alarm("records-missing", "segments disappeared before they were delivered", "record", c.name, "segments", b.missing)
		}
		s.at("read " + c.name)
		if len(b.records) > 0 {
			if err := s.put(ctx, c, b.records, careful); err != nil {
				var invalid *types.InvalidParameterException
				if errors.As(err, &invalid) {
					c.mu.Lock()
					c.logs.careful = true
					c.mu.Unlock()
				}
				return err
			}
		}
		s.at("put " + c.name)
		c.mu.Lock()
		moved := c.state.Logs != b.end
		c.state.Logs, c.sum = b.end, b.sum
		c.logs.careful = false
		if len(b.records) == 0 {
			c.seen = b.size // a line that is being written is looked at again when it grows
		}
		if c.logs.since.Before(b.read) {
			c.logs.since = b.read
		}
		c.logs.failed = 0
		c.mu.Unlock()
		if moved {
			if err := s.save(c); err != nil {
				return err
			}
			s.at("saved " + c.name)
			s.sweepSpool(c, b.end.Segment)
		}
		if len(b.records) == 0 {
			return nil
		}
	}
	return nil
}

// put sends lines in as many requests as they need.
func (s *Shipper) put(ctx context.Context, c *source, records []record, careful bool) error {
	var events []types.InputLogEvent
	size := 0
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		err := s.request(ctx, c, events)
		events, size = events[:0], 0
		return err
	}
	for _, r := range records {
		at := max(r.at, c.last) // within a request, times may not go back
		if careful {
			at = s.now().UnixMilli()
		}
		for _, text := range parts(r.text) {
			full := len(events) == requestEvents || size+len(text)+eventOverhead > requestBytes
			if len(events) > 0 && (full || time.Duration(at-*events[0].Timestamp)*time.Millisecond > requestSpan) {
				if err := flush(); err != nil {
					return err
				}
			}
			if careful && !plain(text) {
				text = strconv.QuoteToASCII(text)
			}
			events = append(events, types.InputLogEvent{Timestamp: aws.Int64(at), Message: aws.String(text)})
			size += len(text) + eventOverhead
		}
		c.last = at
	}
	return flush()
}

func plain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == utf8.RuneError })
}

// parts is a line as one event, or as several where it is too long for one.
func parts(line []byte) []string {
	text := strings.ToValidUTF8(string(line), "\uFFFD")
	if len(text) <= eventBytes {
		return []string{text}
	}
	sum := sha256.Sum256(line)
	name := hex.EncodeToString(sum[:4])
	var pieces []string
	for rest := text; rest != ""; {
		n := min(len(rest), eventBytes/7) // escaped, a byte is six at most
		for n < len(rest) && !utf8.RuneStart(rest[n]) {
			n--
		}
		pieces = append(pieces, rest[:n])
		rest = rest[n:]
	}
	for i, piece := range pieces {
		part, _ := json.Marshal(struct {
			Kind string `json:"postern"`
			Of   int    `json:"of"`
			Part int    `json:"part"`
			Line string `json:"line"`
			Text string `json:"text"`
		}{"part", len(pieces), i + 1, name, piece})
		pieces[i] = string(part)
	}
	return pieces
}

// request sends one batch, makes the stream where it isn't there, and sends again
// what is refused for its time.
func (s *Shipper) request(ctx context.Context, c *source, events []types.InputLogEvent) error {
	group := s.Settings.Group(c.kind)
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &c.stream, LogEvents: events}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err := s.Logs.PutLogEvents(ctx, in)
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		_, made := s.Logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &c.stream})
		var there *types.ResourceAlreadyExistsException
		if made != nil && !errors.As(made, &there) {
			return made
		}
		out, err = s.Logs.PutLogEvents(ctx, in)
	}
	if err != nil {
		return err
	}
	again := refused(out.RejectedLogEventsInfo, events)
	if len(again) == 0 {
		return nil
	}
	now := s.now()
	if server, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		now = server
	}
	s.Log.Alarm("record-times-refused", "CloudWatch Logs takes no lines of that age: they were sent again with its own time",
		"record", c.name, "lines", len(again), "from", time.UnixMilli(*again[0].Timestamp).UTC(), "service", now.UTC())
	for i := range again {
		again[i].Timestamp = aws.Int64(now.UnixMilli())
	}
	in.LogEvents = again
	out, err = s.Logs.PutLogEvents(ctx, in)
	if err == nil && len(refused(out.RejectedLogEventsInfo, again)) > 0 {
		err = errors.New("CloudWatch Logs refuses lines with its own time")
	}
	return err
}

// refused lists the events that were not taken.
func refused(info *types.RejectedLogEventsInfo, events []types.InputLogEvent) []types.InputLogEvent {
	if info == nil {
		return nil
	}
	old := int(max(aws.ToInt32(info.TooOldLogEventEndIndex), aws.ToInt32(info.ExpiredLogEventEndIndex)))
	old = min(max(old, 0), len(events))
	young := len(events)
	if info.TooNewLogEventStartIndex != nil {
		young = min(max(int(*info.TooNewLogEventStartIndex), old), len(events))
	}
	return append(append([]types.InputLogEvent{}, events[:old]...), events[young:]...)
}
