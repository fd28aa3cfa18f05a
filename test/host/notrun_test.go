package host_test

import (
	"fmt"
	"os"
)

// didNotRun ends the test binary, loudly: nothing of this package was tested.
// hack/test.sh reads the reason from the file that POSTERN_DID_NOT_RUN names.
func didNotRun(reason string) {
	fmt.Fprintf(os.Stderr, "\ntest/host DID NOT RUN: %s\nNo host was booted and no attack was tried.\n\n", reason)
	if file := os.Getenv("POSTERN_DID_NOT_RUN"); file != "" {
		if err := os.WriteFile(file, []byte(reason+"\n"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(77)
}
