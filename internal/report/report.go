package report

import (
	"github.com/postern-cdk/postern/internal/cost"
)

// Level is how much a finding weighs.
type Level int

// A finding that is [Fail] makes the verdict bad; [Note] is for the reader to
// decide.
const (
	Note Level = iota
	Fail
)

// Finding is one thing that a reviewer would object to.
type Finding struct {
	Level Level
	// What was found, where.
	What string
	// Fix says what to do about it.
	Fix string
}

// Row is one line of a section: what it is, how it stands, and the particulars.
type Row struct {
	What   string
	State  string
	Detail string
}

// Report is what [Make] concludes from an inventory.
type Report struct {
	Inventory Inventory
	Doors     []Row
	People    []Row
	Hosts     []Row
	Records   []Row
	Told      []Row
	Cost      cost.Lines
	// CostOf are the figures of doors and of what they share, as the stacks say.
	CostOf   []Row
	Commands []Output
	Findings []Finding
}

// Make examines an inventory.
func Make(inv Inventory) *Report {
	r := &Report{Inventory: inv}
	if len(inv.Resources) == 0 {
		r.fail("nothing is deployed: none of the stacks has a resource that could be read",
			"Look at what the deployment printed; an emulator may report success and have made nothing")
		return r
	}
	for _, unread := range inv.Unread {
		r.fail("resources of type "+unread+" could not be read, so they are not judged", "Ask an endpoint that can read them")
	}
	r.doors()
	r.people()
	r.hosts()
	r.records()
	r.told()
	r.Cost = r.bill()
	r.figures()
	r.commands()
	return r
}

// Safe reports whether nothing found is a [Fail].
func (r *Report) Safe() bool {
	for _, f := range r.Findings {
		if f.Level == Fail {
			return false
		}
	}
	return true
}

// ExitCode is 0 where the verdict is good, 1 where not.
func (r *Report) ExitCode() int {
	if r.Safe() {
		return 0
	}
	return 1
}

func (r *Report) fail(what, fix string) {
	r.Findings = append(r.Findings, Finding{Level: Fail, What: what, Fix: fix})
}

func (r *Report) note(what, fix string) {
	r.Findings = append(r.Findings, Finding{Level: Note, What: what, Fix: fix})
}
