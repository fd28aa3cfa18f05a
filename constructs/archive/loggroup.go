package archive

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// LogGroupOptions says what is different about one log group of an [Archive].
// Its zero value, and nil, make one that is encrypted with the key, keeps its
// events for [Props.LogRetentionDays], can be searched and filtered, and is
// protected from deletion.
type LogGroupOptions struct {
	// RetentionDays is how many days the group keeps its events: one of the periods
	// that CloudWatch Logs has, 1 to 3653. 0 stands for [Props.LogRetentionDays].
	RetentionDays int

	// Class is what the group can do and costs; [ClassStandard] where empty. It
	// can't be changed later: CloudWatch Logs refuses
	// (docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html).
	Class LogClass

	// Masking hides what looks like a secret from who reads the group. Nil masks
	// nothing.
	Masking *Masking

	// AllowDeletion gives up, for this group, that it can be deleted only after its
	// deletion protection was switched off. [Props.AllowLogGroupDeletion] gives it
	// up for all.
	AllowDeletion bool
}

// LogClass is the class of a log group.
type LogClass string

const (
	// ClassStandard can all that CloudWatch Logs can. The default.
	ClassStandard LogClass = "STANDARD"
	// ClassInfrequentAccess costs half to write to, and is read by Logs Insights
	// alone, without its commands pattern, diff, filterIndex and unmask: it gives up
	// metric filters and so alarms, subscription filters and so the way to a log
	// account, live tail, export, and Masking, which nobody could see behind
	// (docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData_Classes.html).
	ClassInfrequentAccess LogClass = "INFREQUENT_ACCESS"
)

// AddLogGroup makes a log group that is encrypted with the key, keeps its events
// for [Props.LogRetentionDays] and stays when the stack goes. CloudFormation
// names it. What is logged is sent to [Props.LogAccount], too.
func (a *Archive) AddLogGroup(id string) awslogs.ILogGroup { return a.AddLogGroupWith(id, nil) }

// AddLogGroupWith makes a log group as [Archive.AddLogGroup] does, with options,
// which may be nil.
func (a *Archive) AddLogGroupWith(id string, options *LogGroupOptions) awslogs.ILogGroup {
	o := options.withDefaults(&a.props)
	faults := a.validateChild(id)
	o.validate(&faults)
	if o.Class == ClassInfrequentAccess && a.props.LogAccount != nil {
		faults.Add("Class", "ClassInfrequentAccess has no subscription filters, and so no way to the LogAccount", "leave it out")
	}
	tree.Must("archive log group", a, id, faults.Err())

	days, _ := retention(o.RetentionDays)
	props := &awslogs.LogGroupProps{
		EncryptionKey:             a.key,
		Retention:                 days,
		RemovalPolicy:             awscdk.RemovalPolicy_RETAIN,
		DeletionProtectionEnabled: jsii.Bool(!o.AllowDeletion),
	}
	// Said only where it is not the usual: naming the class of a group that exists
	// would be a change that CloudFormation can't make.
	if o.Class == ClassInfrequentAccess {
		props.LogGroupClass = awslogs.LogGroupClass_INFREQUENT_ACCESS
	}
	group := awslogs.NewLogGroup(a, &id, props)
	if o.Masking != nil {
		a.mask(id, group, o.Masking)
	}
	if o.Class == ClassInfrequentAccess {
		refuseFilters(group)
	}
	a.forward(group)
	return group
}

// mask sets the policy at the resource, whose L2 has no regard for what
// identifiers may be.
func (a *Archive) mask(id string, group awslogs.LogGroup, m *Masking) {
	p := policy.DataProtection{
		Name: "postern-" + id, Description: "Secrets are masked for who reads without logs:Unmask.",
		Managed: m.Identifiers,
	}
	for _, c := range m.Custom {
		p.Custom = append(p.Custom, policy.DataIdentifier(c))
	}
	if m.Findings != nil {
		p.Findings = *m.Findings.LogGroupName()
	}
	group.Node().DefaultChild().(awslogs.CfnLogGroup).SetDataProtectionPolicy(p.Object(a.scope.Partition))
}

// refuseFilters stops a synthesis in which something filters the events of a
// group whose class can't: CloudWatch Logs would refuse it halfway through a
// deploy.
func refuseFilters(group awslogs.LogGroup) {
	survey.Validate(group, func(s *survey.Survey) []string {
		own := survey.ID(group.LogGroupName())
		var faults []string
		for _, node := range s.Nodes {
			var filtered *string
			switch filter := node.(type) {
			case awslogs.CfnMetricFilter:
				filtered = text(filter.LogGroupName())
			case awslogs.CfnSubscriptionFilter:
				filtered = text(filter.LogGroupName())
			}
			if filtered != nil && survey.ID(filtered) == own {
				faults = append(faults, "Class: ClassInfrequentAccess has no metric or subscription filters, but "+*node.Node().Path()+
					" is one of this group: leave Class out, or make the group anew under another id")
			}
		}
		return faults
	})
}

func text(name any) *string {
	switch name := name.(type) {
	case *string:
		return name
	case string:
		return &name
	}
	return nil
}

func (o *LogGroupOptions) withDefaults(p *Props) LogGroupOptions {
	var q LogGroupOptions
	if o != nil {
		q = *o
	}
	setDefault(&q.RetentionDays, p.LogRetentionDays)
	if q.Class == "" {
		q.Class = ClassStandard
	}
	q.AllowDeletion = q.AllowDeletion || p.AllowLogGroupDeletion
	if q.Masking != nil {
		m := q.Masking.withDefaults()
		q.Masking = &m
	}
	return q
}

// validate examines options whose defaults are filled in.
func (o *LogGroupOptions) validate(faults *check.Faults) {
	checkRetention(faults, "RetentionDays", o.RetentionDays)
	faults.Check("Class", check.OneOf(o.Class, ClassStandard, ClassInfrequentAccess))
	if o.Masking != nil {
		o.Masking.validate(faults)
		if o.Class == ClassInfrequentAccess {
			faults.Add("Masking", "hides from everybody, and for good, in ClassInfrequentAccess, which is read by Logs Insights without unmask",
				"leave out Class, or Masking")
		}
	}
}

func (a *Archive) validateChild(id string) check.Faults {
	var faults check.Faults
	switch {
	case id == "":
		faults.Add("id", "is empty", `name what is logged, such as "Sessions"`)
	case a.Node().TryFindChild(&id) != nil:
		faults.Addf("id", "choose another", "the archive already has a %q", id)
	}
	return faults
}
