// Command hostbundle makes the bundle that a bastion's host fetches, for where an
// app is synthesized without Go or without its modules:
//
//	go run github.com/postern-cdk/postern/bin/hostbundle -arch arm64 -o bundle.tar.gz
//
// The same version makes the same bytes on every machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/postern-cdk/postern/internal/host/bundle"
)

func main() {
	architecture := flag.String("arch", "arm64", "processor of the instance type: arm64 or x86_64")
	file := flag.String("o", "", "file to write")
	flag.Parse()
	if *file == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bundle.Write(ctx, *architecture, *file); err != nil {
		fmt.Fprintln(os.Stderr, "hostbundle:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stopped above
	}
}
