package people

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// Client is what is asked of S3: s3:ListBucket on the bucket, s3:GetObject on the
// keys and the revocation list, and kms:Decrypt where a key of the user's own
// encrypts them.
type Client interface {
	s3.ListObjectsV2APIClient
	GetObject(ctx context.Context, in *s3.GetObjectInput, options ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// NewClient asks S3 by the role of the instance. An answer that takes longer than
// 20 s is a failed one.
func NewClient(ctx context.Context, s *settings.Settings) (Client, error) {
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.Region),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(20*time.Second).WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = readers
		})))
	if err != nil {
		return nil, err
	}
	return s3.NewFromConfig(loaded, func(o *s3.Options) {
		// Objects from old tools have no checksum; each read would say so in the journal.
		o.DisableLogOutputChecksumValidationSkipped = true
	}), nil
}

const (
	// readers at once.
	readers = 16
	// maxPages of a listing: more objects than there are UIDs.
	maxPages = 60
	// clockTrust is how far the clocks of the host and of S3 may lie apart. S3 itself
	// refuses requests from 15 minutes on.
	clockTrust = 5 * time.Minute
)

// source is the bucket.
type source struct {
	client   Client
	bucket   string
	prefix   string
	requests atomic.Int64
	now      func() time.Time
}

// listing is a complete one.
type listing struct {
	objects []types.Object
	folders []string
	// clock is S3's.
	clock time.Time
	// skew of the host's clock to that of S3.
	skew time.Duration
}

// list asks for all pages. An answer that isn't certainly whole is an error: what it
// doesn't name must not count as gone.
func (s *source) list(ctx context.Context) (*listing, error) {
	var l listing
	var token *string
	for page := 1; ; page++ {
		if page > maxPages {
			return nil, fmt.Errorf("there are more than %d pages of objects below s3://%s/%s: remove what is no key", maxPages, s.bucket, s.prefix)
		}
		s.requests.Add(1)
		out, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
			Bucket:            &s.bucket,
			Prefix:            &s.prefix,
			Delimiter:         aws.String("/"),
			ContinuationToken: token,
			// A name with a character that XML can't hold would break every listing.
			EncodingType: types.EncodingTypeUrl,
		})
		if err != nil {
			return nil, fmt.Errorf("page %d of s3://%s/%s: %w", page, s.bucket, s.prefix, err)
		}
		// A proxy's or a captive portal's 200 decodes to an empty answer.
		if aws.ToString(out.Name) != s.bucket || out.KeyCount == nil || out.IsTruncated == nil ||
			int(*out.KeyCount) != len(out.Contents)+len(out.CommonPrefixes) {
			return nil, fmt.Errorf("page %d of s3://%s/%s is not a whole answer of S3", page, s.bucket, s.prefix)
		}
		for _, object := range out.Contents {
			key, err := url.QueryUnescape(aws.ToString(object.Key))
			if err != nil || object.ETag == nil || object.LastModified == nil || object.Size == nil {
				return nil, fmt.Errorf("page %d of s3://%s/%s names an object without key, ETag, size or time", page, s.bucket, s.prefix)
			}
			object.Key = &key
			l.objects = append(l.objects, object)
		}
		for _, folder := range out.CommonPrefixes {
			name, err := url.QueryUnescape(aws.ToString(folder.Prefix))
			if err != nil {
				name = aws.ToString(folder.Prefix)
			}
			l.folders = append(l.folders, name)
		}
		if page == 1 {
			l.clock, l.skew = s.clock(out.ResultMetadata)
		}
		if !*out.IsTruncated {
			return &l, nil
		}
		if aws.ToString(out.NextContinuationToken) == "" || token != nil && *token == *out.NextContinuationToken {
			return nil, fmt.Errorf("page %d of s3://%s/%s says that there are more, and not how to ask for them", page, s.bucket, s.prefix)
		}
		token = out.NextContinuationToken
	}
}

// clock of S3 by the Date of an answer, and how far ours is from it. An answer
// without one says nothing about the time.
func (s *source) clock(metadata middleware.Metadata) (time.Time, time.Duration) {
	at, found := awsmiddleware.GetServerTime(metadata)
	if !found || at.IsZero() {
		return time.Time{}, 0
	}
	skew := s.now().Sub(at)
	return at, skew
}

// errMoved says that an object changed since it was listed, or is gone.
var errMoved = errors.New("the object changed since it was listed")

// read fills in an object as it was listed: the content of another moment is none.
func (s *source) read(ctx context.Context, key string, o *object, policy Policy) error {
	o.Keys, o.Faults = nil, nil
	if o.Size > MaxSize {
		o.Faults = []string{fmt.Sprintf("the object has %d bytes, %d are the most", o.Size, MaxSize)}
		return nil
	}
	content, version, _, err := s.get(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key, IfMatch: &o.ETag}, MaxSize)
	if err != nil {
		return err
	}
	if int64(len(content)) != o.Size {
		return errMoved
	}
	o.Version = version
	keys, faults := Keys(content, policy)
	o.Keys = keys
	for _, fault := range faults {
		o.Faults = append(o.Faults, fault.Error())
	}
	return nil
}

// errUnchanged says that an object is what it was.
var errUnchanged = errors.New("the object is unchanged")

func (s *source) get(ctx context.Context, in *s3.GetObjectInput, most int64) (content []byte, version, etag string, err error) {
	s.requests.Add(1)
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		var response *awshttp.ResponseError
		if errors.As(err, &response) {
			switch response.HTTPStatusCode() {
			case http.StatusNotModified:
				return nil, "", "", errUnchanged
			case http.StatusPreconditionFailed:
				return nil, "", "", errMoved
			case http.StatusNotFound:
				if in.IfMatch != nil {
					return nil, "", "", errMoved
				}
			}
		}
		return nil, "", "", err
	}
	defer func() { _ = out.Body.Close() }()
	content, err = io.ReadAll(io.LimitReader(out.Body, most+1))
	if err != nil {
		return nil, "", "", err
	}
	if int64(len(content)) > most {
		return nil, "", "", fmt.Errorf("s3://%s/%s has more than %d bytes", *in.Bucket, *in.Key, most)
	}
	return content, aws.ToString(out.VersionId), strings.Clone(aws.ToString(out.ETag)), nil
}
