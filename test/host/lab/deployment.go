//go:build linux

package lab

import (
	"context"
	"runtime"
	"sync"

	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/internal/host/bundle"
)

// Hardened is the configuration of a host with what the lab's cloud has, and no
// choice made.
func Hardened() host.Config {
	return host.Config{
		Region: Region, StackName: "Access", SignalResource: "BastionASG", LogGroup: "/postern/bastion",
		AllocationID: "eipalloc-0123456789abcdef0",
		RecordBucket: RecordBucket, PeopleBucket: PeopleBucket, ParameterPath: "/postern/Access/Bastion",
	}
}

// Bundle is built once, for the machine that runs the lab.
var Bundle = sync.OnceValues(func() (bundle.Bundle, error) {
	architecture := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	return bundle.Build(context.Background(), bundle.Options{Architecture: architecture})
})

// Render makes a deployment of a configuration, with the bundle of this module.
func Render(c host.Config) (*Deployment, error) {
	b, err := Bundle()
	if err != nil {
		return nil, err
	}
	c.BundleBucket, c.BundleKey, c.BundleSHA256 = BundleBucket, b.SHA256+".tar.gz", b.SHA256
	u, err := host.Render(c)
	if err != nil {
		return nil, err
	}
	return &Deployment{UserData: []byte(u.Script), Assets: []Asset{{Bucket: c.BundleBucket, Key: c.BundleKey, Path: b.Path}}}, nil
}
