package session

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
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

// of is the target as policies name it.
func (t *Target) of(s policy.Scope) []policy.Target {
	tags := t.Tags
	if t.Host != nil {
		key, value := t.Host.SessionTag()
		tags = map[string]string{key: value}
	}
	var targets []policy.Target
	for _, id := range t.InstanceIDs {
		targets = append(targets, policy.Target{ARN: s.Node(id)})
	}
	if len(tags) > 0 {
		var all []policy.Tag
		for _, key := range slices.Sorted(maps.Keys(tags)) {
			all = append(all, policy.Tag{Key: key, Value: tags[key]})
		}
		targets = append(targets, policy.Target{Tags: all})
	}
	return targets
}

// targetsOf are targets as policies name them.
func targetsOf(targets []Target, s policy.Scope) []policy.Target {
	var all []policy.Target
	for i := range targets {
		all = append(all, targets[i].of(s)...)
	}
	return all
}

func validateTargets(targets []Target, faults *check.Faults) {
	for i := range targets {
		faults.Merge(fmt.Sprintf("Targets[%d]", i), targets[i].validate())
	}
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
