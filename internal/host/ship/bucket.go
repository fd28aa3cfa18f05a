package ship

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// closed is the next segment that has to go to the bucket, or 0.
func (c *source) closed(after int) int {
	n := c.next(after + 1)
	if n == 0 {
		return 0
	}
	if c.size(n+1) >= 0 {
		return n
	}
	if _, ok := c.closing(n); ok {
		return n
	}
	return 0
}

// shipBucket puts the closed segments of a source.
func (s *Shipper) shipBucket(ctx context.Context, c *source) error {
	for range 32 {
		c.mu.Lock()
		n := c.closed(c.state.Bucket)
		missing := n - c.state.Bucket - 1
		first := c.state.Bucket == 0
		c.mu.Unlock()
		if n == 0 {
			return nil
		}
		if missing > 0 && !first {
			s.Log.Alarm("records-missing", "segments disappeared before they were put into the bucket", "record", c.name, "segments", missing)
		}
		read := s.now()
		if err := s.putSegment(ctx, c, n); err != nil {
			return err
		}
		s.at("object " + c.name)
		c.mu.Lock()
		c.state.Bucket = n
		c.bkt.failed = 0
		if c.bkt.since.Before(read) {
			c.bkt.since = read
		}
		c.mu.Unlock()
		if err := s.save(c); err != nil {
			return err
		}
		s.at("saved " + c.name)
	}
	return nil
}

// putSegment puts one segment. A bucket with Object Lock takes only objects that
// bring a checksum:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (s *Shipper) putSegment(ctx context.Context, c *source, n int) error {
	f, err := os.Open(segmentPath(c.dir, n, c.suffix))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	key, err := s.key(c, n, f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	kind := "application/x-asciicast"
	if c.suffix == chain.Lines {
		kind = "application/jsonl"
	}
	_, err = s.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket:            &s.Settings.RecordBucket,
		Key:               &key,
		Body:              io.NewSectionReader(f, 0, size),
		ContentLength:     &size,
		ContentType:       &kind,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ChecksumSHA256:    aws.String(base64.StdEncoding.EncodeToString(sum.Sum(nil))),
	})
	return err
}

// key is the name of a segment's object.
func (s *Shipper) key(c *source, n int, f io.ReadSeeker) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	day, folder := c.start, c.id
	if c.kind != settings.LogSessions {
		in := bufio.NewReader(f)
		for {
			line, err := in.ReadBytes('\n')
			if m, ok := chain.ParseMark(line); ok && m.Time != "" {
				at, err := time.Parse(time.RFC3339Nano, m.Time)
				if err != nil {
					return "", err
				}
				day, folder = at, string(c.kind)+"."+m.Chain
				break
			}
			if errors.Is(err, io.EOF) {
				info, err := os.Stat(segmentPath(c.dir, n, c.suffix))
				if err != nil {
					return "", err
				}
				day, folder = info.ModTime(), string(c.kind)+".unknown" // damaged before it was delivered
				break
			}
			if err != nil {
				return "", err
			}
		}
	}
	var b bytes.Buffer
	b.WriteString(s.Settings.Recording.Prefix)
	b.WriteString(day.UTC().Format("2006/01/02/"))
	b.WriteString(s.Settings.InstanceID + "/" + folder + "/")
	name := segmentPath("", n, c.suffix)
	b.WriteString(name)
	return b.String(), nil
}
