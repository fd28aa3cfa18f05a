// Command dashboard draws the dashboard of a synthesized template as an SVG sketch
// with made-up values: go run ./bin/dashboard cdk.out/Postern-Watch.template.json.
package main

import (
	"fmt"
	"os"

	"github.com/postern-cdk/postern/internal/dashboard/sketch"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one template, such as cdk.out/Postern-Watch.template.json")
	}
	template, err := os.ReadFile(args[0]) //nolint:gosec // the file that the user names
	if err != nil {
		return err
	}
	picture, err := sketch.Template(template)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	_, err = os.Stdout.Write(picture)
	return err
}
