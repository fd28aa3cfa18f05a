// Package asset has a deploy upload a file that is there already, under its digest.
package asset

import (
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
)

// Add has a deploy of the construct's stack put a file into the bootstrap bucket,
// under its digest of 64 hexadecimal digits and the extension. An asset construct
// would have Node read the file, and name it by a digest of the digest.
func Add(construct constructs.IConstruct, file, sha256, extension, what string) (*awscdk.FileAssetLocation, error) {
	stage := awscdk.Stage_Of(construct)
	to := filepath.Join(*stage.AssetOutdir(), "asset."+sha256+extension)
	if _, err := os.Stat(to); err != nil {
		if err := copyFile(to, file); err != nil {
			return nil, err
		}
	}
	// The stacks of a stage have a folder of their own in that of the app.
	name, err := filepath.Rel(*stage.Outdir(), to)
	if err != nil {
		return nil, err
	}
	return awscdk.Stack_Of(construct).Synthesizer().AddFileAsset(&awscdk.FileAssetSource{
		FileName:    &name,
		Packaging:   awscdk.FileAssetPackaging_FILE,
		SourceHash:  &sha256,
		DisplayName: &what,
	}), nil
}

// copyFile puts a file into place whole: another construct of the app may ask for
// it.
func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	part := to + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil { //nolint:gosec // the app's own folder, a name made of a digest
		return err
	}
	return os.Rename(part, to)
}
