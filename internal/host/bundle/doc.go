// Package bundle makes the part of a bastion's host that doesn't fit in its user
// data: the programs, compiled for Linux, and the later steps of the bootstrap,
// in one gzip'd tar that the host fetches, compares with the digest in its user
// data, and unpacks to /opt/postern.
//
//	b, err := bundle.Build(ctx, bundle.Options{Architecture: "arm64"})
//	// b.Path is a file of the cache, b.SHA256 its digest
//
// # Built at synthesis, from source
//
// Whoever synthesizes a CDK app in Go has Go. The programs are compiled from the
// very module that the app requires, in its own folder (in the module cache, by
// its own go.mod and go.sum), so that what runs on the host is what go.sum has
// verified: there is no binary to trust. Where Go or its modules can't be had at
// synthesis, [Options.File] names a bundle that bin/hostbundle made elsewhere.
//
// # Reproducible
//
// The same module gives the same bytes on every machine. Anything else would
// replace the bastion whenever another colleague deploys. So the flags, the
// environment, the order, modes and times in the archive are fixed, and so is the
// compiler: [Toolchain] is used whatever Go the app was built by. The go command
// fetches it where it isn't there, and verifies it by the checksum database
// (https://go.dev/doc/toolchain). The toolchain line of go.mod is no way to say
// so: it counts in the main module only, which is the user's. The archive is
// compressed by the same toolchain, as a compressor's output is no promise either.
//
// # Cached
//
// In the user's cache folder, below a key of everything that goes in: the
// version of a released module, otherwise the content of the packages that the
// programs are made of; the toolchain; the architecture. A hit runs no process.
package bundle
