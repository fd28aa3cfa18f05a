package notice

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // Lambda's image has no time zones
)

// Settings say what is usual, as the function gets them.
type Settings struct {
	// TimeZone is where people are, by its name in the IANA time zone database.
	TimeZone string `json:"timeZone,omitempty"`
	// Hours are when they work. None is at all hours.
	Hours []Window `json:"hours,omitempty"`
	// Known are the ranges of addresses that they work from. None is everywhere.
	Known []string `json:"known,omitempty"`
}

// Window is some hours on some days of the week.
type Window struct {
	Days []time.Weekday `json:"days"`
	// From and Until are minutes after midnight.
	From  int `json:"from"`
	Until int `json:"until"`
}

// Judge says what is not usual.
type Judge struct {
	zone  *time.Location
	hours []Window
	known []netip.Prefix
}

// NewJudge reads settings.
func NewJudge(s Settings) (*Judge, error) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time zone: %w", err)
	}
	j := &Judge{zone: zone, hours: s.Hours}
	for _, text := range s.Known {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("known addresses: %w", err)
		}
		j.known = append(j.known, prefix)
	}
	return j, nil
}

// ReadJudge reads settings as they were written for the function.
func ReadJudge(text string) (*Judge, error) {
	var s Settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return NewJudge(s)
}

// call is what a judgement needs of an event.
type call struct {
	Kind    string `json:"detail-type"`
	Account string `json:"account"`
	Detail  struct {
		EventTime    string `json:"eventTime"`
		From         string `json:"sourceIPAddress"`
		Endpoint     string `json:"vpcEndpointId"`
		EndpointOf   string `json:"vpcEndpointAccountId"`
		UserIdentity struct {
			Type string `json:"type"`
		} `json:"userIdentity"`
	} `json:"detail"`
}

// abnormal are the reasons why somebody should look at a call.
func (j *Judge) abnormal(c *call) []string {
	var reasons []string
	if c.Kind == viaConfig || c.Kind == viaCloudFormation {
		return nil // what was found, or by whom it does not say
	}
	if c.Detail.UserIdentity.Type == "Root" {
		reasons = append(reasons, "by the root user")
	}
	if len(j.hours) > 0 {
		at, err := time.Parse(time.RFC3339, c.Detail.EventTime)
		switch {
		case err != nil:
			reasons = append(reasons, "at a time that can't be read")
		case !j.open(at.In(j.zone)):
			reasons = append(reasons, "outside office hours ("+at.In(j.zone).Format("Monday 15:04")+" in "+j.zone.String()+")")
		}
	}
	if len(j.known) > 0 && !j.familiar(c) {
		reasons = append(reasons, "from an address outside the known ranges")
	}
	return reasons
}

func (j *Judge) open(at time.Time) bool {
	minute := at.Hour()*60 + at.Minute()
	return slices.ContainsFunc(j.hours, func(w Window) bool {
		return slices.Contains(w.Days, at.Weekday()) && w.From <= minute && minute < w.Until
	})
}

// familiar takes what AWS services do for somebody, whose address is a name that
// only AWS can have written, and what comes from a private address through an endpoint
// of the same account. A private address alone says nothing: anybody has one, behind
// an endpoint in an account of theirs.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
func (j *Judge) familiar(c *call) bool {
	address, err := netip.ParseAddr(c.Detail.From)
	if err != nil {
		return service(c.Detail.From)
	}
	address = address.Unmap().WithZone("")
	if slices.ContainsFunc(j.known, func(p netip.Prefix) bool { return p.Contains(address) }) {
		return c.Detail.EndpointOf == "" || c.Detail.EndpointOf == c.Account || !address.IsPrivate()
	}
	return address.IsPrivate() && c.Detail.EndpointOf != "" && c.Detail.EndpointOf == c.Account
}

func service(name string) bool {
	if name == "AWS Internal" {
		return true
	}
	return !strings.ContainsAny(name, " /\"") && (strings.HasSuffix(name, ".amazonaws.com") || strings.HasSuffix(name, ".amazonaws.com.cn"))
}
