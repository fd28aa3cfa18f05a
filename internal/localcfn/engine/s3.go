package engine

import (
	"crypto/md5" //nolint:gosec // S3's ETag is an MD5 by definition; nothing is protected by it
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
)

func noBucket(name string) error {
	return &APIError{"NoSuchBucket", fmt.Sprintf("The specified bucket does not exist: %s", name)}
}

// Bucket returns the bucket's properties.
func (e *Engine) Bucket(name string) (map[string]any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.cloud.Get("AWS::S3::Bucket", name)
	if o == nil {
		return nil, noBucket(name)
	}
	return o.Clone().Properties, nil
}

// Buckets lists the names of all buckets.
func (e *Engine) Buckets() []*cloud.Object {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*cloud.Object
	for _, o := range e.cloud.List("AWS::S3::Bucket") {
		out = append(out, o.Clone())
	}
	return out
}

// PutObject stores an object in a bucket that exists.
func (e *Engine) PutObject(bucket, key string, o S3Object) (*S3Object, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cloud.Get("AWS::S3::Bucket", bucket) == nil {
		return nil, noBucket(bucket)
	}
	sum := md5.Sum(o.Body) //nolint:gosec // as above
	o.ETag, o.Modified = hex.EncodeToString(sum[:]), e.now()
	if e.buckets[bucket] == nil {
		e.buckets[bucket] = map[string]*S3Object{}
	}
	e.buckets[bucket][key] = &o
	return &o, e.save()
}

// GetObject reads an object.
func (e *Engine) GetObject(bucket, key string) (*S3Object, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cloud.Get("AWS::S3::Bucket", bucket) == nil {
		return nil, noBucket(bucket)
	}
	o := e.buckets[bucket][key]
	if o == nil {
		return nil, &APIError{"NoSuchKey", "The specified key does not exist."}
	}
	return o, nil
}

// DeleteObject removes an object; one that isn't there is no fault.
func (e *Engine) DeleteObject(bucket, key string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cloud.Get("AWS::S3::Bucket", bucket) == nil {
		return noBucket(bucket)
	}
	delete(e.buckets[bucket], key)
	return e.save()
}

// ListObjects lists keys after one, sorted, with a prefix.
func (e *Engine) ListObjects(bucket, prefix, after string) ([]string, map[string]*S3Object, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cloud.Get("AWS::S3::Bucket", bucket) == nil {
		return nil, nil, noBucket(bucket)
	}
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(e.buckets[bucket])), func(k string) bool {
		return !strings.HasPrefix(k, prefix) || k <= after
	})
	return keys, maps.Clone(e.buckets[bucket]), nil
}
