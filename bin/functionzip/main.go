// Command functionzip makes the file of a function that stands behind a custom
// resource, for where an app is synthesized without Go or without its modules:
//
//	go run github.com/postern-cdk/postern/bin/functionzip -function postern-account-default -o function.zip
//
// The same version makes the same bytes on every machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/postern-cdk/postern/internal/function"
)

func main() {
	name := flag.String("function", "", "which one: "+strings.Join(function.Programs(), ", "))
	file := flag.String("o", "", "file to write")
	flag.Parse()
	if *name == "" || *file == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := function.Write(ctx, *name, *file); err != nil {
		fmt.Fprintln(os.Stderr, "functionzip:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stopped above
	}
}
