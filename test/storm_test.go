package test_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/metricalarm"
)

// day is what is so on a host at a minute.
type day struct {
	wanted, inService int
	instance          bool // there is one, whatever its state
	agent, checks     bool
	impaired          bool
	cpu, memory, disk float64
	broken            int
	noGroupMetrics    bool
}

var quiet = day{wanted: 1, inService: 1, instance: true, agent: true, checks: true, cpu: 5, memory: 40, disk: 30}

// sent are the values that CloudWatch gets in a minute.
func (d day) sent(minute int, now time.Time) []metricalarm.Sample {
	var list []metricalarm.Sample
	grouped := map[string]string{"AutoScalingGroupName": "group-of-Bastion"}
	send := func(namespace, name string, dimensions map[string]string, value float64) {
		list = append(list, metricalarm.Sample{Namespace: namespace, Name: name, Dimensions: dimensions, Time: now, Value: value})
	}
	if !d.noGroupMetrics {
		send("AWS/AutoScaling", "GroupDesiredCapacity", grouped, float64(d.wanted))
		send("AWS/AutoScaling", "GroupInServiceInstances", grouped, float64(d.inService))
	}
	if !d.instance {
		return list
	}
	impaired := 0.0
	if d.impaired {
		impaired = 1
	}
	send("AWS/EC2", "StatusCheckFailed", grouped, impaired)
	send("AWS/EC2", "CPUUtilization", grouped, d.cpu)
	if d.agent {
		send("Postern/Bastion", "mem_used_percent", grouped, d.memory)
		send("Postern/Bastion", "disk_used_percent", grouped, d.disk)
	}
	if d.checks && minute%5 == 0 {
		for range 11 {
			send("Postern/Bastion", "Checks Test/Watch/Bastion", nil, 1)
		}
	}
	for range d.broken {
		send("Postern/Bastion", "Broken Test/Watch/Bastion", nil, 1)
	}
	return list
}

// composite is an AWS::CloudWatch::CompositeAlarm whose rule is one or more alarms.
type composite struct {
	members         []string
	suppressor      string
	wait, extension int // minutes
}

var member = regexp.MustCompile(`\["(Watch[A-Za-z]+)[0-9A-F]{8}","Arn"\]`)

func compositeOf(t *testing.T, p map[string]any) composite {
	t.Helper()
	rule := textOf(t, p["AlarmRule"])
	c := composite{}
	for _, match := range member.FindAllStringSubmatch(rule, -1) {
		c.members = append(c.members, match[1])
	}
	require.Len(t, c.members, strings.Count(rule, "ALARM("), "only ALARM(...) OR ... is understood here")
	require.NotContains(t, rule, "NOT")
	if suppressor := member.FindStringSubmatch(textOf(t, p["ActionsSuppressor"])); suppressor != nil {
		c.suppressor = suppressor[1]
		c.wait, c.extension = int(p["ActionsSuppressorWaitPeriod"].(float64))/60, int(p["ActionsSuppressorExtensionPeriod"].(float64))/60
	}
	return c
}

// played is what people are sent in the course of some hours, by the alarms of a
// template, and how composite alarms act after
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm_Suppression.html.
type played struct {
	alarms     map[string]*metricalarm.Alarm
	alone      map[string]bool // has an action
	composites map[string]composite
}

func play(t *testing.T) *played {
	t.Helper()
	stack := cdktest.NewStack(t)
	watch.New(stack, "Watch", nil).AddHost(hostIn(stack, "Bastion"), &watch.HostOptions{LogGroup: awslogs.NewLogGroup(stack, jsii.String("Log"), nil)})
	template := cdktest.Template(stack)
	p := &played{alarms: map[string]*metricalarm.Alarm{}, alone: map[string]bool{}, composites: map[string]composite{}}
	for id, resource := range byLogicalName(t, template, "AWS::CloudWatch::Alarm") {
		properties := resource["Properties"].(map[string]any)
		alarm, err := metricalarm.Read(properties)
		require.NoError(t, err, id)
		p.alarms[id], p.alone[id] = alarm, properties["AlarmActions"] != nil
	}
	for id, resource := range byLogicalName(t, template, "AWS::CloudWatch::CompositeAlarm") {
		p.composites[id] = compositeOf(t, resource["Properties"].(map[string]any))
	}
	return p
}

// messages are those of the minutes after an hour of quiet.
func (p *played) messages(t *testing.T, minutes int, at func(minute int) day) []string {
	t.Helper()
	start := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var samples []metricalarm.Sample
	states := map[string]metricalarm.State{}
	quietUntil := map[string]int{} // a composite's actions are suppressed until then
	pending := map[string]int{}    // when a composite's alarm action is due
	toldAlarm := map[string]bool{} // whose alarm was told
	var list []string
	tell := func(id string, state metricalarm.State) {
		list = append(list, strings.TrimPrefix(id, "WatchBastion")+" "+string(state))
	}
	for minute := -60; minute < minutes; minute++ {
		now := start.Add(time.Duration(minute) * time.Minute)
		d := quiet
		if minute >= 0 {
			d = at(minute)
		}
		samples = append(samples, d.sent(minute, now)...)
		end := now.Add(time.Minute)
		recent := samples[max(0, len(samples)-1500):]
		for _, id := range slices.Sorted(maps.Keys(p.alarms)) {
			state, err := p.alarms[id].State(end, recent)
			require.NoError(t, err, id)
			if before := states[id]; state != metricalarm.Retained && state != before {
				states[id] = state
				if p.alone[id] && minute >= 0 {
					tell(id, state)
				}
			}
		}
		for _, id := range slices.Sorted(maps.Keys(p.composites)) {
			c := p.composites[id]
			state := metricalarm.OK
			for _, m := range c.members {
				if states[m] == metricalarm.InAlarm {
					state = metricalarm.InAlarm
				}
			}
			before := states[id]
			states[id] = state
			if c.suppressor == "" {
				if state != before && minute >= 0 {
					tell(id, state)
				}
				continue
			}
			if states[c.suppressor] == metricalarm.InAlarm {
				quietUntil[id] = minute + c.extension
			}
			if state == metricalarm.InAlarm && before != state {
				pending[id] = minute + c.wait
			}
			suppressed := minute < quietUntil[id] || states[c.suppressor] == metricalarm.InAlarm
			switch due, waits := pending[id]; {
			case state == metricalarm.InAlarm && waits && minute >= due && !suppressed:
				tell(id, state)
				toldAlarm[id] = true
				delete(pending, id)
			case state == metricalarm.OK && before == metricalarm.InAlarm:
				delete(pending, id)
				if toldAlarm[id] && !suppressed {
					tell(id, state)
				}
				toldAlarm[id] = false
			}
		}
	}
	return list
}

// Failures, minute by minute, and all that people are sent about them.
func TestOneFailureIsOneMessage(t *testing.T) {
	p := play(t)
	require.Len(t, p.composites, 2)
	between := func(minute, from, until int) bool { return minute >= from && minute < until }
	gone := func(d day) day {
		d.inService, d.instance = 0, false
		return d
	}
	for name, test := range map[string]struct {
		at   func(minute int) day
		want []string
	}{
		"a quiet day": {func(int) day { return quiet }, nil},
		"the instance is gone, and comes back": {
			func(minute int) day {
				if between(minute, 10, 60) {
					return gone(quiet)
				}
				return quiet
			},
			[]string{"Door ALARM", "Door OK"},
		},
		"replaced within minutes": {
			func(minute int) day {
				if between(minute, 10, 16) {
					return gone(quiet)
				}
				return quiet
			},
			nil,
		},
		"a boot that never ends well": {
			func(minute int) day {
				d := quiet
				if minute >= 10 {
					d.inService, d.agent, d.checks = 0, false, false
					d.instance = minute%15 > 2
				}
				return d
			},
			[]string{"Door ALARM"},
		},
		"scaled to zero on purpose": {
			func(minute int) day {
				if minute < 10 {
					return quiet
				}
				d := gone(quiet)
				d.wanted = 0
				return d
			},
			nil,
		},
		"the agent is stopped": {
			func(minute int) day {
				d := quiet
				d.agent = minute < 10
				return d
			},
			[]string{"AgentSilent ALARM"},
		},
		"the checks are stopped": {
			func(minute int) day {
				d := quiet
				d.checks = minute < 10
				return d
			},
			[]string{"HostUnproven ALARM"},
		},
		"busy and full of memory at once": {
			func(minute int) day {
				d := quiet
				if between(minute, 10, 60) {
					d.cpu, d.memory = 99, 97
				}
				return d
			},
			[]string{"Strained ALARM", "Strained OK"},
		},
		"busy all day, and then the agent is stopped": {
			func(minute int) day {
				d := quiet
				d.cpu = 99
				d.agent = minute < 60
				return d
			},
			[]string{"Strained ALARM", "AgentSilent ALARM"},
		},
		"busy, and then gone": {
			func(minute int) day {
				d := quiet
				if minute < 40 {
					d.cpu = 99
				}
				if between(minute, 40, 90) {
					d = gone(d)
				}
				return d
			},
			[]string{"Strained ALARM", "Door ALARM", "Door OK"},
		},
		"impaired, gone, and busy when it comes back": {
			func(minute int) day {
				d := quiet
				d.impaired = between(minute, 10, 20)
				if between(minute, 20, 60) {
					d = gone(d)
				}
				if between(minute, 60, 64) {
					d.cpu = 99
				}
				return d
			},
			[]string{"Strained ALARM", "Strained OK", "Door ALARM", "Door OK"},
		},
		"a promise is broken while the door is down": {
			func(minute int) day {
				d := quiet
				if between(minute, 10, 80) {
					d.inService = 0
				}
				if minute == 40 {
					d.broken = 1
				}
				return d
			},
			[]string{"Door ALARM", "HostPromise ALARM", "HostPromise OK", "Door OK"},
		},
		"group metrics are switched off": {
			func(minute int) day {
				d := quiet
				d.noGroupMetrics = minute >= 10
				return d
			},
			[]string{"Door ALARM", "AgentSilent ALARM", "HostUnproven ALARM"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.messages(t, 150, test.at)
			assert.Equal(t, fmt.Sprint(test.want), fmt.Sprint(got))
		})
	}
}
