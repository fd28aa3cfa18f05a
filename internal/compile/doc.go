// Package compile makes files out of this module's own programs while an app is
// synthesized: what a bastion's host runs, and the functions of custom resources.
//
// # Built at synthesis, from source
//
// Whoever synthesizes a CDK app in Go has Go. The programs are compiled from the
// very module that the app requires, in its own folder (in the module cache, by
// its own go.mod and go.sum), so that what is deployed is what go.sum has verified:
// there is no binary to trust. A [Recipe] names the command that makes the file
// elsewhere, for where Go or its modules can't be had.
//
// # Reproducible
//
// The same module gives the same bytes on every machine. Anything else would
// deploy a change whenever another colleague deploys. So the flags and the
// environment are fixed, and so is the compiler: [Toolchain] is used whatever Go the
// app was built by. The go command fetches it where it isn't there, and verifies it
// by the checksum database (https://go.dev/doc/toolchain). The toolchain line of go.mod
// is no way to say so: it counts in the main module only, which is the user's. What
// is compressed is compressed by the same toolchain, as a compressor's output is no
// promise either.
//
// # Cached
//
// In the user's cache folder, below a key of everything that goes in: the version of
// a released module, otherwise the content of the packages that the programs are
// made of; the toolchain; the recipe. A hit runs no process.
package compile
