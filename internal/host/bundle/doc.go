// Package bundle makes the part of a bastion's host that doesn't fit in its user
// data: the programs, compiled for Linux, and the later steps of the bootstrap,
// in one gzip'd tar that the host fetches, compares with the digest in its user
// data, and unpacks to /opt/postern.
//
//	b, err := bundle.Build(ctx, bundle.Options{Architecture: "arm64"})
//	// b.Path is a file of the cache, b.SHA256 its digest
//
// It is compiled at synthesis, from source, so that the same version gives the same
// bytes on every machine: see package compile. Anything else would replace the bastion
// whenever another colleague deploys. Where Go or its modules can't be had at synthesis,
// [Options.File] names a bundle that bin/hostbundle made elsewhere.
package bundle
