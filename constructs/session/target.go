package session

import (
	"fmt"
	"regexp"

	"github.com/postern-cdk/postern/internal/check"
)

// Target is what a session may go to: exactly one of its fields is set.
type Target struct {
	// InstanceIDs are instances by their IDs, such as "i-0123456789abcdef0".
	InstanceIDs []string
	// Tags that an instance must have, all of them. Whoever may tag instances may
	// add to it.
	Tags map[string]string
	// Host is a construct whose instances carry a tag of their own, such as a
	// bastion.
	Host Host
}

// Host is a construct whose instances come and go, and are known by a tag. A
// bastion is one.
type Host interface {
	// SessionTag is the tag that its instances have, and no others.
	SessionTag() (key, value string)
}

var instanceForm = regexp.MustCompile(`^(i-[0-9a-f]{8,17}|mi-[0-9a-f]{17})$`)

// tags are those of the target, or nil where it is instances by ID.
func (t *Target) tags() map[string]string {
	if t.Host == nil {
		return t.Tags
	}
	key, value := t.Host.SessionTag()
	return map[string]string{key: value}
}

func (t *Target) validate() error {
	var faults check.Faults
	given := 0
	for _, set := range []bool{len(t.InstanceIDs) > 0, len(t.Tags) > 0, t.Host != nil} {
		if set {
			given++
		}
	}
	if given != 1 {
		faults.Addf("", "set exactly one of InstanceIDs, Tags and Host", "%d kinds of targets are given", given)
	}
	for i, id := range t.InstanceIDs {
		if !check.Token(id) && !instanceForm.MatchString(id) {
			faults.Addf(fmt.Sprintf("InstanceIDs[%d]", i), "write it such as i-0123456789abcdef0", "%q is no ID of an instance", id)
		}
	}
	return faults.Err()
}
