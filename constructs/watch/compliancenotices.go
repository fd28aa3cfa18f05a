package watch

import (
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/tree"
)

const complianceID = "Compliance"

// ConfigRules are rules of AWS Config. What package compliance makes is such.
type ConfigRules interface {
	constructs.IConstruct
	// ConfigRuleNames are the names of the rules.
	ConfigRuleNames() []string
}

// AddComplianceNotices tells people of each resource that begins to break one of the
// rules, when AWS Config notices: minutes after a change, or once a day. What broke
// them before is told when the rules are made. It needs a recorder, and no trail
// (docs.aws.amazon.com/config/latest/developerguide/monitor-config-with-cloudwatchevents.html).
func (w *Watch) AddComplianceNotices(of ConfigRules) {
	var faults check.Faults
	switch {
	case of == nil:
		faults.Add("of", "is nil", "pass what compliance.New made")
	case len(of.ConfigRuleNames()) == 0:
		faults.Addf("of", "leave it out", "%q has no rules", *of.Node().Id())
	}
	faults.Merge("", w.once("AddComplianceNotices", complianceID))
	tree.Must("watch", w, complianceID, faults.Err())

	t := w.tellerOf(w, complianceID)
	t.add("Broken", "Tells that a resource breaks a rule of AWS Config", notice.NonCompliant(of.ConfigRuleNames()))
	t.widgets("Compliance", "Resources that began to break a rule")
}
