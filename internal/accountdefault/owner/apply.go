package owner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/postern-cdk/postern/internal/accountdefault"
)

// properties of the custom resource.
type properties struct{ content, onExisting string }

func propertiesOf(e *cfn.Event) (properties, error) {
	text := func(name string) string {
		s, _ := e.ResourceProperties[name].(string)
		return s
	}
	p := properties{content: text(accountdefault.Content), onExisting: text(accountdefault.OnExisting)}
	value, err := parse(p.content)
	if err == nil && value["sessionType"] != "Standard_Stream" {
		err = fmt.Errorf("its sessionType is %v, not Standard_Stream", value["sessionType"])
	}
	if err != nil {
		return p, fmt.Errorf("the property %s is no session document: %w", accountdefault.Content, err)
	}
	choices := []string{accountdefault.Fail, accountdefault.Merge, accountdefault.Replace}
	if !slices.Contains(choices, p.onExisting) {
		return p, fmt.Errorf("the property %s is %q: use one of %s", accountdefault.OnExisting, p.onExisting, strings.Join(choices, ", "))
	}
	return p, nil
}

// wayOn tells how to choose otherwise.
func wayOn(d *document) string {
	return fmt.Sprintf("Its version %s is in force: aws ssm get-document --name %s --document-version %s. "+
		"Choose OnExisting: session.AdoptByMerge (yours over these) or session.AdoptByReplace, which keep a copy in the parameter %s "+
		"and come back to it when the stack goes; or use session.NewPreferences, which makes a document of another name",
		d.Default, accountdefault.Document, d.Default, accountdefault.Original)
}

// races is how often the document may be made by another hand between two calls.
const races = 3

// apply does a Create or an Update. It returns the version in force, and what there is to say.
func (h *Handler) apply(ctx context.Context, e *cfn.Event) (version, said string, err error) {
	for range races {
		version, said, err = h.applyOnce(ctx, e)
		if !errors.Is(err, errExists) {
			break
		}
	}
	return version, said, err
}

func (h *Handler) applyOnce(ctx context.Context, e *cfn.Event) (version, said string, err error) {
	p, err := propertiesOf(e)
	if err != nil {
		return "", "", err
	}
	r, err := h.readRecord(ctx)
	if err != nil {
		return "", "", err
	}
	for _, c := range r.Claims {
		if c.Stack != e.StackID {
			return "", "", fmt.Errorf("%s is owned already, by %s of the stack %s: an account and Region have one; "+
				"remove that one first, or if that stack is gone, delete the parameter %s", accountdefault.Document, c.Resource, c.Stack, accountdefault.Record)
		}
	}
	d, err := h.read(ctx)
	if err != nil {
		return "", "", err
	}
	i := r.find(e)
	switch {
	case i < 0 && slices.Contains(r.Requests, e.RequestID):
		return "", "", errors.New("this request came once more, after what it had made was deleted")
	case i < 0 && e.RequestType == cfn.RequestUpdate && d != nil && d.Digest == digest(p.content):
		return d.Default, "what was asked for is in force, though the parameter " + accountdefault.Record + " knows nothing of it", nil
	case i < 0:
		return h.claim(ctx, e, p, r, d)
	case i < len(r.Claims)-1:
		return r.Claims[i].Version, "another resource of this stack has taken the document over", nil
	default:
		return h.change(ctx, e, p, r, d)
	}
}

// claim makes the document this resource's.
func (h *Handler) claim(ctx context.Context, e *cfn.Event, p properties, r *record, d *document) (version, said string, err error) {
	content := p.content
	mine := claim{Stack: e.StackID, Resource: e.LogicalResourceID}
	switch below := r.top(); {
	case d == nil:
		said = "made the document, there was none"
		if below == nil {
			r.Original, r.Orphan = nil, ""
		}
	case below != nil && below.ours(d.Digest):
		// A resource of the same stack that is about to be deleted.
		said = "took version " + d.Default + " over from " + below.Resource
		if content, err = h.desired(ctx, p, r); err != nil {
			return "", "", err
		}
	case p.onExisting == accountdefault.Fail:
		return "", "", fmt.Errorf("%s exists in this account and Region, and was not made here. %s", accountdefault.Document, wayOn(d))
	default:
		if p.onExisting == accountdefault.Merge {
			if content, err = merge(d.Content, p.content); err != nil {
				return "", "", err
			}
		}
		said = "adopted the document, of which version " + d.Default + " was in force"
		if below == nil && (r.Original == nil || r.Orphan != d.Digest) {
			if err := h.saveOriginal(ctx, d.Content); err != nil {
				return "", "", err
			}
			r.Original = &original{Version: d.Default, Digest: d.Digest, Saved: h.now().UTC().Format(time.RFC3339)}
		}
		r.Orphan = ""
	}
	r.Claims = append(r.Claims, mine)
	version, err = h.enforce(ctx, e, r, d, content, said)
	return version, said, err
}

// change brings the document of this resource to what is asked for now.
func (h *Handler) change(ctx context.Context, e *cfn.Event, p properties, r *record, d *document) (version, said string, err error) {
	mine := r.top()
	content, err := h.desired(ctx, p, r)
	if err != nil {
		return "", "", err
	}
	wanted := digest(content)
	drifted := d != nil && !mine.ours(d.Digest)
	switch {
	case drifted && wanted == mine.Digest:
		// Nothing of ours is to change, so nothing of theirs is lost: a rollback comes here, too.
		return d.Default, fmt.Sprintf("left version %s in force, which somebody else made after %s of ours", d.Default, mine.Version), nil
	case !drifted && d != nil && mine.Foreign != "" && wanted == mine.Was:
		if version, said, err = h.giveBack(ctx, r, wanted); err == nil {
			return version, said, nil
		}
		h.log.Error("somebody else's version is not in force again", "version", mine.Foreign, "error", err.Error())
		mine.Foreign, mine.Was = "", ""
		said = "changed the document"
	case !drifted:
		mine.Foreign, mine.Was = "", ""
		said = "changed the document"
	case p.onExisting == accountdefault.Fail:
		return "", "", fmt.Errorf("%s was changed by somebody else since, and would be overwritten. %s", accountdefault.Document, wayOn(d))
	default:
		if p.onExisting == accountdefault.Merge {
			if content, err = merge(d.Content, p.content); err != nil {
				return "", "", err
			}
		}
		said = "changed the document, in which version " + d.Default + " by somebody else was in force"
		mine.Foreign, mine.Was = d.Default, mine.Digest
	}
	version, err = h.enforce(ctx, e, r, d, content, said)
	return version, said, err
}

// giveBack undoes an update that replaced somebody else's version.
func (h *Handler) giveBack(ctx context.Context, r *record, wanted string) (version, said string, err error) {
	mine := r.top()
	version = mine.Foreign
	content, err := h.content(ctx, version)
	if err == nil {
		err = h.promote(ctx, version, digest(content))
	}
	if err != nil {
		return "", "", err
	}
	mine.Digest, mine.Foreign, mine.Was, mine.Pending, mine.Base = wanted, "", "", "", ""
	said = "put version " + version + " by somebody else in force again, as before the update"
	return version, said, h.writeRecord(ctx, r, said)
}

// desired is the content that the properties ask for, given what was there before.
func (h *Handler) desired(ctx context.Context, p properties, r *record) (string, error) {
	if p.onExisting != accountdefault.Merge || r.Original == nil {
		return p.content, nil
	}
	theirs, err := h.readParameter(ctx, accountdefault.Original)
	if err != nil {
		return "", err
	}
	if theirs == "" {
		return "", fmt.Errorf("the parameter %s is gone, which had the preferences to merge with: take it back from version %s of %s, or choose AdoptByReplace",
			accountdefault.Original, r.Original.Version, accountdefault.Document)
	}
	return merge(theirs, p.content)
}

// enforce puts content in force for the claim on top of the record. It writes down
// what it is about to do first, and goes back to what was in force where it fails.
func (h *Handler) enforce(ctx context.Context, e *cfn.Event, r *record, d *document, content, said string) (version string, err error) {
	mine, wanted := r.top(), digest(content)
	if d != nil && d.Digest == wanted && mine.Digest == wanted && mine.Version == d.Default {
		mine.Pending, mine.Base = "", ""
		r.begin(e.RequestID)
		return mine.Version, h.writeRecord(ctx, r, "looked, and found version "+mine.Version+" in force as asked for")
	}
	mine.Pending, mine.Base = wanted, ""
	if d != nil {
		mine.Base = d.Digest
	} else {
		mine.Versions = nil // of a document that is gone
		if r.Original != nil {
			r.Original.Version = ""
		}
	}
	r.begin(e.RequestID)
	if err := h.writeRecord(ctx, r, "began: "+said); err != nil {
		return "", err
	}
	defer func() {
		if err != nil && d != nil {
			h.undo(ctx, d)
		}
	}()
	version, err = h.put(ctx, d != nil, content)
	if errors.Is(err, errExists) && mine.Digest == "" {
		// Nothing is claimed of a document that turned out to be another's.
		r.Claims = r.Claims[:len(r.Claims)-1]
		r.Requests = slices.DeleteFunc(r.Requests, func(id string) bool { return id == e.RequestID })
		if writeErr := h.writeRecord(ctx, r, "found the document made by somebody else in the meantime"); writeErr != nil {
			return "", writeErr
		}
	}
	if err != nil {
		return "", err
	}
	if !slices.Contains(mine.Versions, version) && (d == nil || after(version, d.Latest)) {
		mine.Versions = append(mine.Versions, version)
	}
	if err := h.promote(ctx, version, wanted); err != nil {
		return "", err
	}
	mine.Digest, mine.Version, mine.Pending, mine.Base = wanted, version, "", ""
	if err := h.writeRecord(ctx, r, said+"; version "+version+" is in force"); err != nil {
		// It is done, and the record that was written before has all that it takes
		// to go back.
		h.log.Error("the record doesn't say that it is done", "error", err.Error())
	}
	return version, nil
}

// undo makes the former default the default again. It has time of its own, as it may
// be the lack of time that made it necessary.
func (h *Handler) undo(ctx context.Context, d *document) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.reserve/2)
	defer cancel()
	described, err := h.describe(ctx)
	if err == nil && (described == nil || aws.ToString(described.DefaultVersion) == d.Default) {
		return
	}
	_, err = h.ssm.UpdateDocumentDefaultVersion(ctx, &ssm.UpdateDocumentDefaultVersionInput{
		Name: aws.String(accountdefault.Document), DocumentVersion: &d.Default,
	})
	if err != nil {
		h.log.Error("the former default version is not in force again", "version", d.Default, "error", err.Error())
		return
	}
	h.log.Info("the former default version is in force again", "version", d.Default)
}
