package chain

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// ErrNotWhole says that a record is not what was written.
var ErrNotWhole = errors.New("not every record is whole")

// VerifyCommand checks all chains below a directory.
func VerifyCommand() *cobra.Command {
	var leave Leave
	c := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check records: exit code 1 and the first break of each, where one is not whole",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			fsys, records, err := in(args[0])
			if err != nil {
				return err
			}
			if len(records) == 0 {
				return fmt.Errorf("%s: there is no record in it", args[0])
			}
			whole := true
			for _, r := range records {
				report, err := r.Verify(fsys, leave)
				if err != nil {
					return err
				}
				whole = whole && report.Whole()
				_, _ = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n  head %s\n", Printable(r.Name), Printable(report.String()), report.Head)
			}
			if !whole {
				return ErrNotWhole
			}
			return nil
		},
	}
	leaveFlags(c, &leave)
	return c
}

// in lists the records in a directory.
func in(dir string) (fs.FS, []Record, error) {
	fsys := os.DirFS(dir)
	records, err := Find(fsys)
	return fsys, records, err
}

func leaveFlags(c *cobra.Command, leave *Leave) {
	c.Flags().BoolVar(&leave.Open, "open", false, "a record without an end is no fault: it may still be written")
	c.Flags().BoolVar(&leave.Partial, "partial", false, "a record without its first segments is no fault: what is there may be that of one day")
}

// ExportCommand writes a recording in a form that stock tools play.
func ExportCommand() *cobra.Command {
	var format, out string
	c := &cobra.Command{
		Use:   "export DIR --format cast|script --out PATH",
		Short: "Write a recording for `asciinema play PATH`, or `scriptreplay --timing=PATH.timing PATH.typescript`",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			fsys, records, err := in(args[0])
			if err != nil {
				return err
			}
			casts := records[:0]
			for _, r := range records {
				if r.Suffix == Cast {
					casts = append(casts, r)
				}
			}
			if len(casts) != 1 {
				return fmt.Errorf("%s: %d recordings in it, not one: name the directory of one", args[0], len(casts))
			}
			r := casts[0]
			if out == "" {
				return errors.New("--out: say where to write to")
			}
			switch format {
			case "cast":
				err = create([]string{out}, func(w []io.Writer) error { return r.WriteCast(fsys, w[0]) })
			case "script":
				err = create([]string{out + ".timing", out + ".typescript"}, func(w []io.Writer) error { return r.WriteScript(fsys, w[0], w[1]) })
			default:
				err = fmt.Errorf("--format: %q is neither cast nor script", format)
			}
			if err != nil {
				return err
			}
			report, err := r.Verify(fsys, Leave{})
			if err != nil {
				return err
			}
			if !report.Whole() {
				_, _ = fmt.Fprintln(c.ErrOrStderr(), "warning:", Printable(report.String()))
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "cast", "cast (asciicast v2) or script (the two files of scriptreplay)")
	c.Flags().StringVar(&out, "out", "", "file to write, which must not be there")
	return c
}

// create makes files that are not there yet, for their owner only.
func create(names []string, fill func([]io.Writer) error) error {
	writers := make([]io.Writer, 0, len(names))
	var errs []error
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		writers = append(writers, f)
	}
	errs = append(errs, fill(writers))
	for _, w := range writers {
		if f, ok := w.(*os.File); ok {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// ListCommand lists recordings.
func ListCommand() *cobra.Command {
	var leave Leave
	c := &cobra.Command{
		Use:   "list DIR",
		Short: "List recordings: who, from where, when, how long, whether the record is whole",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return List(c.OutOrStdout(), os.DirFS(args[0]), leave)
		},
	}
	leaveFlags(c, &leave)
	return c
}

// ShowCommand prints logs.
func ShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show DIR",
		Short: "Print command logs as text",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return Show(c.OutOrStdout(), os.DirFS(args[0]))
		},
	}
}
