package owner

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/postern-cdk/postern/internal/accountdefault"
)

// remove does a Delete: what was in force before is again, unless somebody else
// changed it since. Its error is told and logged, and is no failure of the request.
func (h *Handler) remove(ctx context.Context, e *cfn.Event) (said string, err error) {
	r, err := h.readRecord(ctx)
	if err != nil {
		return "", err
	}
	i := r.find(e)
	if i < 0 {
		return "nothing is in force that this resource put there", nil
	}
	mine := r.Claims[i]
	top := i == len(r.Claims)-1
	r.Claims = slices.Delete(slices.Clone(r.Claims), i, i+1)
	r.begin(e.RequestID)
	if !top {
		said = "let go of the document, which " + r.top().Resource + " has taken over"
		return said, h.writeRecord(ctx, r, said)
	}
	said, err = h.restore(ctx, r, &mine)
	if err != nil {
		r.Orphan = mine.Digest
		if d, readErr := h.read(ctx); readErr == nil && d != nil && mine.ours(d.Digest) {
			r.Orphan = d.Digest
		}
		said = "could not go back to what was before: " + err.Error()
	}
	if writeErr := h.writeRecord(ctx, r, said); err == nil {
		err = writeErr
	}
	return said, err
}

// restore goes back to what was in force before a claim.
func (h *Handler) restore(ctx context.Context, r *record, mine *claim) (said string, err error) {
	d, err := h.read(ctx)
	switch {
	case err != nil:
		return "", err
	case d == nil:
		return "found the document deleted by somebody else, and left it so", nil
	case !mine.ours(d.Digest):
		return "left version " + d.Default + " in force, which somebody else made", nil
	}
	if below := r.top(); below != nil {
		version, wanted := below.Version, below.Digest
		if below.Pending != "" {
			wanted = below.Pending
			if version, err = h.find(ctx, wanted); err != nil {
				return "", err
			}
		}
		return "put version " + version + " of " + below.Resource + " in force again", h.promote(ctx, version, wanted)
	}
	if r.Original == nil {
		return h.unmake(ctx, mine)
	}
	// Its version has the very text. It may have been deleted to make room.
	if version := r.Original.Version; version != "" {
		content, err := h.content(ctx, version)
		switch {
		case err == nil && digest(content) == r.Original.Digest:
			return "put version " + version + " in force again, as before the adoption", h.promote(ctx, version, r.Original.Digest)
		case err != nil && !is[*types.InvalidDocumentVersion](err):
			return "", err
		}
	}
	content, err := h.readParameter(ctx, accountdefault.Original)
	if err != nil {
		return "", err
	}
	if content == "" || digest(content) != r.Original.Digest {
		return "", fmt.Errorf("version %s is gone, and the parameter %s is not what was saved: look at its history", r.Original.Version, accountdefault.Original)
	}
	version, err := h.put(ctx, true, content)
	if err != nil {
		return "", err
	}
	return "put the content of " + accountdefault.Original + " in force again, as version " + version, h.promote(ctx, version, r.Original.Digest)
}

// unmake deletes the document that was made here, unless somebody else has a
// version in it.
func (h *Handler) unmake(ctx context.Context, mine *claim) (said string, err error) {
	theirs := ""
	err = h.earlier(ctx, func(version, digest string) bool {
		if !slices.Contains(mine.Versions, version) && !mine.ours(digest) {
			theirs = version
		}
		return theirs == ""
	})
	if err != nil {
		return "", err
	}
	if theirs != "" {
		return "left the document, in which version " + theirs + " is somebody else's", nil
	}
	_, err = h.ssm.DeleteDocument(ctx, &ssm.DeleteDocumentInput{Name: aws.String(accountdefault.Document)})
	if err != nil && !is[*types.InvalidDocument](err) {
		return "", failed(accountdefault.Document+" can't be deleted", err)
	}
	return "deleted the document, which had been made here", nil
}
