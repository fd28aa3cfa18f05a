// Command recording reads records of a bastion where its operators are: in a folder
// that was downloaded from the record bucket.
//
//	aws s3 cp --recursive s3://BUCKET/PREFIX2026/11/21/ records/
//	recording list records
//	recording verify records
//	recording show records
//	recording export records/i-0abc/20261121T234501Z-0a1b2c3d --out session.cast
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/postern-cdk/postern/internal/host/chain"
)

func main() {
	root := &cobra.Command{
		Use:           "recording",
		Short:         "Read what a bastion recorded",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(chain.ListCommand(), chain.ShowCommand(), chain.VerifyCommand(), chain.ExportCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}
