package config

import (
	"regexp"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

// Tunnel forwards a port of a person's computer to one port of one host, through
// the bastion and Session Manager. Who starts it chooses neither.
type Tunnel struct {
	// Name says what it leads to, such as "Orders": the document is called
	// "NAME-Access-Tunnel-Orders" after it.
	Name string `yaml:"name"`
	// Host is a DNS name or address that the bastion resolves and reaches. Empty is
	// the bastion itself.
	Host string `yaml:"host"`
	// Port of the host.
	Port int `yaml:"port"`
	// SecurityGroupID is the host's own group, which gets a rule for the bastion's.
	SecurityGroupID string `yaml:"securityGroupId"`
	// LocalPort of the person's computer. Defaults to one that is free.
	LocalPort int `yaml:"localPort"`
	// IdleMinutes ends a tunnel that nothing passes through, 1 to 60. Defaults to 20.
	IdleMinutes int `yaml:"idleMinutes"`
	// MaxMinutes ends a tunnel, 1 to 1440. Defaults to 720.
	MaxMinutes int `yaml:"maxMinutes"`
}

// tunnelPattern is a name that is a construct ID, an output's and part of a
// document's.
var tunnelPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,49}$`)

// defaultCidr is that of a new VPC where network.cidr names none.
const defaultCidr = "10.0.0.0/16"

func (t *Tunnel) validate(field string, before []Tunnel, c *Config, f *check.Faults) {
	if t.Name == "" {
		f.Add(field+".name", "is missing", `say what it leads to, such as "Orders"`)
	}
	matches(f, field+".name", t.Name, tunnelPattern, "begin with a letter, then letters and digits, 50 at most")
	if strings.EqualFold(t.Name, RelayName) {
		f.Addf(field+".name", "give it another", "%q is the tunnel to bastion.host.relay", t.Name)
	}
	for i := range before {
		if t.Name != "" && strings.EqualFold(before[i].Name, t.Name) {
			f.Addf(field+".name", "give it another", "%q is the name of tunnels[%d] too", t.Name, i)
			break
		}
	}
	if c.Bastion.Absent {
		f.Add(field, "goes through the bastion, which bastion.absent leaves out", "keep the bastion, with bastion.address none where it needs no public address")
	}
	if t.Host != "" {
		f.Check(field+".host", policy.TunnelHost(t.Host, vpcCidrs(&c.Network)...))
		if t.SecurityGroupID == "" {
			f.Add(field+".securityGroupId", "is missing", "write the ID of the host's own group, such as sg-0123456789abcdef0: the bastion is let out to it, and in there")
		}
	} else if t.SecurityGroupID != "" {
		f.Add(field+".host", "is missing, but securityGroupId says that there is one", "name the host, or remove securityGroupId for a port of the bastion")
	}
	matches(f, field+".securityGroupId", t.SecurityGroupID, groupPattern, "write the ID of a security group, such as sg-0123456789abcdef0")
	f.Check(field+".port", check.Port(t.Port))
	if t.LocalPort != 0 {
		f.Check(field+".localPort", check.Port(t.LocalPort))
	}
	duration(f, field, t.IdleMinutes, t.MaxMinutes)
}

// vpcCidrs are the blocks of the VPC as far as the document tells.
func vpcCidrs(n *Network) []string {
	cidr := n.Cidr
	switch {
	case n.Vpc != nil:
		cidr = n.Vpc.Cidr
	case cidr == "":
		cidr = defaultCidr
	}
	if cidr == "" || check.CIDR(cidr) != nil {
		return nil
	}
	return []string{cidr}
}
