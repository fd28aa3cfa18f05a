package watch

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/tree"
)

// Replicated is what S3 copies to another Region. An archive with a Replica is
// one.
type Replicated interface {
	constructs.IConstruct
	// FailedReplications counts objects that could not be copied, or is nil where
	// nothing is copied.
	FailedReplications() awscloudwatch.IMetric
}

// AddReplication adds an alarm on records that could not be copied to another
// Region: of each there is one copy then. $0.10 a month, and what S3 charges for
// the metrics of the replication.
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
func (w *Watch) AddReplication(of Replicated) {
	var faults check.Faults
	if of == nil {
		faults.Add("of", "is nil", "pass an archive with a Replica")
		tree.Must("watch", w, "Replication", faults.Err())
	}
	failed := of.FailedReplications()
	if failed == nil {
		faults.Addf("of", "give it a Replica, or leave this out", "%q is copied nowhere", *of.Node().Path())
	}
	id := *of.Node().Id() + " replication"
	if w.Node().TryFindChild(&id) != nil {
		faults.Addf("of", "add it once", "the watch already has %q", id)
	}
	tree.Must("watch", w, id, faults.Err())

	w.alarm(constructs.NewConstruct(w, &id), "CopyFailed", fmt.Sprintf(
		"Records of %s could not be copied to the other Region: of each there is one copy, which its lock still guards. S3 does not try again by itself.",
		*of.Node().Path()), &condition{
		metric: failed, at: 1, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: evidence, runbook: "copy-failed",
	})
}
