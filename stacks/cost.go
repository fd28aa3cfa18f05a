package stacks

import (
	"slices"

	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/monthlycost"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/tree"
	"github.com/postern-cdk/postern/stacks/config"
)

// addMonthlyCost shows what each door costs, and what all of them share.
func (p *Postern) addMonthlyCost(c *config.Config) {
	if c.MonthlyCost.Absent {
		return
	}
	parts := &monthlycost.Props{RestName: "Other"}
	for _, stack := range p.stacks {
		parts.Within = append(parts.Within, stack)
	}
	add := func(name string, of ...constructs.IConstruct) {
		if len(of) > 0 {
			parts.Parts = append(parts.Parts, monthlycost.Part{Name: name, Of: of})
		}
	}
	sessions, bastion := p.sessionParts(c)
	add("Bastion", bastion...)
	add("SessionManager", sessions...)
	if p.access.instanceConnect != nil {
		add("InstanceConnect", p.access.instanceConnect)
	}
	if p.network.Stack != nil {
		add("Network", p.network)
	}
	add("Archive", p.archive)
	if p.replica != nil {
		add("Replica", p.replica)
	}
	add("Watch", p.watch)
	p.cost = monthlycost.New(p.watch, "MonthlyCost", parts)
	// The dashboard is drawn later than the tree is finished, the figures earlier.
	tree.Validate(p.cost, func() []string {
		p.showCost()
		return nil
	})
}

// showCost puts the figures on the dashboard.
func (p *Postern) showCost() {
	var lines []watch.CostLine
	for _, figure := range p.cost.Figures() {
		if figure.Name != "Total" && figure.Fixed() > 0 {
			lines = append(lines, watch.CostLine{What: figure.Title(), USD: figure.Fixed()})
		}
	}
	p.watch.watch.ShowCost(lines, "Without use and data transfer, by list prices of "+monthlycost.Prices()+". The outputs `MonthlyCost...` say more.")
}

// sessionParts are what is there for Session Manager, and what for the bastion:
// of the interface endpoints, Session Manager has its own, and who is without a way
// out needs the others to come up, unless they were asked for by name.
func (p *Postern) sessionParts(c *config.Config) (sessions, bastion []constructs.IConstruct) {
	if p.access.bastion != nil {
		bastion = append(bastion, p.access.bastion)
	}
	if p.access.shell != nil {
		sessions = append(sessions, p.access.shell)
	}
	if p.access.ssh != nil {
		sessions = append(sessions, p.access.ssh)
	}
	if p.access.Stack == nil {
		return sessions, bastion
	}
	for _, id := range []string{"AccountDefault", "Tunnel"} {
		if made := p.access.Node().TryFindChild(jsii.String(id)); made != nil {
			sessions = append(sessions, made)
		}
	}
	if p.network.endpoints == nil {
		return sessions, bastion
	}
	for _, service := range p.network.endpoints.Services() {
		made := p.network.endpoints.Node().FindChild(jsii.String(string(service)))
		switch {
		case service.CarriesSessions():
			sessions = append(sessions, made)
		case p.access.bastion != nil && !slices.Contains(c.Endpoints.Services, string(service)):
			bastion = append(bastion, made)
		}
	}
	return sessions, bastion
}
