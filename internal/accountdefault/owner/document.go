package owner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/postern-cdk/postern/internal/accountdefault"
)

// fault is an answer of AWS, told with its own name for it.
type fault struct {
	what  string
	cause error
}

func (f *fault) Unwrap() error { return f.cause }

func (f *fault) Error() string {
	var api smithy.APIError
	if errors.As(f.cause, &api) {
		return f.what + ": " + api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return f.what + ": " + f.cause.Error()
}

func failed(what string, cause error) error { return &fault{what, cause} }

func is[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// document is what Session Manager looks at now.
type document struct {
	Default, Latest string
	Content         string // of the default version
	Digest          string
}

// read returns nil where there is no document.
func (h *Handler) read(ctx context.Context) (*document, error) {
	described, err := h.describe(ctx)
	if described == nil || err != nil {
		return nil, err
	}
	d := &document{Default: aws.ToString(described.DefaultVersion), Latest: aws.ToString(described.LatestVersion)}
	if described.DocumentType != types.DocumentTypeSession {
		return nil, fmt.Errorf("%s is a document of the type %s, not Session: somebody made it for another purpose; delete it or have it deleted", accountdefault.Document, described.DocumentType)
	}
	content, err := h.content(ctx, d.Default)
	if err != nil {
		return nil, err
	}
	d.Content, d.Digest = content, digest(content)
	return d, nil
}

// describe returns nil where there is no document.
func (h *Handler) describe(ctx context.Context) (*types.DocumentDescription, error) {
	out, err := h.ssm.DescribeDocument(ctx, &ssm.DescribeDocumentInput{Name: aws.String(accountdefault.Document)})
	switch {
	case is[*types.InvalidDocument](err):
		return nil, nil
	case err != nil:
		return nil, failed(accountdefault.Document+" can't be described", err)
	case out.Document == nil:
		return nil, errors.New(accountdefault.Document + " has no description")
	}
	return out.Document, nil
}

func (h *Handler) content(ctx context.Context, version string) (string, error) {
	out, err := h.ssm.GetDocument(ctx, &ssm.GetDocumentInput{
		Name: aws.String(accountdefault.Document), DocumentVersion: &version, DocumentFormat: types.DocumentFormatJson,
	})
	if err != nil {
		return "", failed(fmt.Sprintf("version %s of %s can't be read", version, accountdefault.Document), err)
	}
	return aws.ToString(out.Content), nil
}

// earlier calls look with each version that is there, the newest first, until that
// returns false.
func (h *Handler) earlier(ctx context.Context, look func(version, digest string) bool) error {
	described, err := h.describe(ctx)
	if err != nil || described == nil {
		return err
	}
	latest, err := strconv.Atoi(aws.ToString(described.LatestVersion))
	if err != nil {
		return fmt.Errorf("the latest version of %s is no number: %w", accountdefault.Document, err)
	}
	for n := latest; n > 0; n-- {
		version := strconv.Itoa(n)
		content, err := h.content(ctx, version)
		switch {
		case is[*types.InvalidDocumentVersion](err):
			continue
		case err != nil:
			return err
		case !look(version, digest(content)):
			return nil
		}
	}
	return nil
}

// find looks for the version with that content.
func (h *Handler) find(ctx context.Context, wanted string) (string, error) {
	found := ""
	err := h.earlier(ctx, func(version, digest string) bool {
		if digest == wanted {
			found = version
		}
		return found == ""
	})
	return found, err
}

// errExists is when another hand made the document in the meantime.
var errExists = errors.New("the document was made in the meantime")

// put makes content a version of the document, which may not be the default yet.
func (h *Handler) put(ctx context.Context, exists bool, content string) (version string, err error) {
	name := aws.String(accountdefault.Document)
	if !exists {
		out, err := h.ssm.CreateDocument(ctx, &ssm.CreateDocumentInput{
			Name: name, Content: &content, DocumentFormat: types.DocumentFormatJson, DocumentType: types.DocumentTypeSession,
		})
		switch {
		case is[*types.DocumentAlreadyExists](err):
			// A call whose answer was lost is made again, and finds what it made.
			d, err := h.read(ctx)
			if err == nil && (d == nil || d.Latest != "1" || d.Digest != digest(content)) {
				err = errExists
			}
			if err != nil {
				return "", err
			}
			return d.Default, nil
		case err != nil:
			return "", failed(accountdefault.Document+" can't be created", err)
		case out.DocumentDescription == nil:
			return "", errors.New(accountdefault.Document + " was created without a description")
		}
		return aws.ToString(out.DocumentDescription.DocumentVersion), nil
	}
	// Of any but the latest version, the API makes no new one.
	out, err := h.ssm.UpdateDocument(ctx, &ssm.UpdateDocumentInput{
		Name: name, Content: &content, DocumentFormat: types.DocumentFormatJson, DocumentVersion: aws.String("$LATEST"),
	})
	switch {
	case is[*types.DuplicateDocumentContent](err):
		version, err := h.find(ctx, digest(content))
		if err == nil && version == "" {
			err = fmt.Errorf("%s can't be updated: DuplicateDocumentContent, and no version of it has that content", accountdefault.Document)
		}
		return version, err
	case is[*types.DocumentVersionLimitExceeded](err):
		return "", failed(fmt.Sprintf("%s can't be updated, which has all the versions it may have; delete some that are of no interest any more "+
			"(aws ssm delete-document --name %s --document-version N)", accountdefault.Document, accountdefault.Document), err)
	case err != nil:
		return "", failed(accountdefault.Document+" can't be updated", err)
	case out.DocumentDescription == nil:
		return "", errors.New(accountdefault.Document + " was updated without a description")
	}
	return aws.ToString(out.DocumentDescription.DocumentVersion), nil
}

// promote makes a version the default and returns once it is, with that content.
// Neither UpdateDocument nor CloudFormation can be relied on to do so:
// https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2539
func (h *Handler) promote(ctx context.Context, version, wanted string) error {
	asked := false
	var state string
	for range h.looks {
		described, err := h.describe(ctx)
		if err != nil {
			return err
		}
		if described == nil {
			return fmt.Errorf("%s was deleted while its version %s was to become the default", accountdefault.Document, version)
		}
		if described.Status == types.DocumentStatusFailed {
			return fmt.Errorf("version %s of %s failed: %s", version, accountdefault.Document, aws.ToString(described.StatusInformation))
		}
		now := aws.ToString(described.DefaultVersion)
		state = fmt.Sprintf("its default version is %s, its latest %s, its status %s", now, aws.ToString(described.LatestVersion), described.Status)
		if now == version && described.Status == types.DocumentStatusActive {
			content, err := h.content(ctx, version)
			if err != nil {
				return err
			}
			if digest(content) == wanted {
				return nil
			}
			state += ", and its content is not the one that was written"
		}
		if now != version && !asked {
			_, err := h.ssm.UpdateDocumentDefaultVersion(ctx, &ssm.UpdateDocumentDefaultVersionInput{
				Name: aws.String(accountdefault.Document), DocumentVersion: &version,
			})
			switch {
			case is[*types.InvalidDocumentVersion](err):
				state = failed("it can't be made so", err).Error() // a version that is seconds old
			case err != nil:
				return failed(fmt.Sprintf("version %s of %s can't be made the default", version, accountdefault.Document), err)
			default:
				asked = true
				continue // what was just asked for is often done
			}
		}
		if err := h.sleep(ctx, h.pause); err != nil {
			return err
		}
	}
	return fmt.Errorf("version %s of %s did not become the default: %s", version, accountdefault.Document, state)
}

// after says that a version number comes after another.
func after(a, b string) bool {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x > y
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
