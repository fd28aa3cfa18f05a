package metricalarm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Sample is one value that was sent.
type Sample struct {
	Namespace, Name string
	Dimensions      map[string]string
	Time            time.Time
	Value           float64
}

// State of an alarm.
type State string

// The states. Retained is what the alarm was before.
const (
	OK               State = "OK"
	InAlarm          State = "ALARM"
	InsufficientData State = "INSUFFICIENT_DATA"
	Retained         State = "retained"
)

// extra is how many periods beyond the evaluated ones are looked at.
const extra = 2

// Alarm is an AWS::CloudWatch::Alarm.
type Alarm struct {
	plain      bool
	queries    []query
	comparison string
	threshold  float64
	periods    int
	toAlarm    int
	missing    string
}

type query struct {
	ID         string
	Expression string
	ReturnData *bool
	Period     int
	MetricStat *stat
}

type stat struct {
	Period int
	Stat   string
	Metric metric
}

type metric struct {
	Namespace, MetricName string
	Dimensions            []struct{ Name, Value string }
}

// Read takes the properties of an alarm, whose values are text.
func Read(properties map[string]any) (*Alarm, error) {
	text, err := json.Marshal(properties)
	if err != nil {
		return nil, err
	}
	var p struct {
		metric
		Statistic          string
		Period             int
		Metrics            []query
		ComparisonOperator string
		Threshold          float64
		EvaluationPeriods  int
		DatapointsToAlarm  int
		TreatMissingData   string
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, err
	}
	a := &Alarm{
		plain: p.MetricName != "", queries: p.Metrics, comparison: p.ComparisonOperator, threshold: p.Threshold,
		periods: p.EvaluationPeriods, toAlarm: p.DatapointsToAlarm, missing: p.TreatMissingData,
	}
	if a.plain {
		a.queries = []query{{ID: "m", MetricStat: &stat{Period: p.Period, Stat: p.Statistic, Metric: p.metric}}}
	}
	if a.toAlarm == 0 {
		a.toAlarm = a.periods
	}
	if len(a.queries) == 0 || a.periods == 0 {
		return nil, errors.New("the alarm has no metric or no periods")
	}
	return a, nil
}

// State is what the alarm says at a moment.
func (a *Alarm) State(now time.Time, samples []Sample) (State, error) {
	length, err := a.length()
	if err != nil {
		return "", err
	}
	// The newest first.
	var points []*float64
	for i := range a.periods + extra {
		until := now.Add(-time.Duration(i) * length)
		value, err := a.value(until.Add(-length), until, samples)
		if err != nil {
			return "", err
		}
		points = append(points, value)
	}
	return a.judge(points)
}

func (a *Alarm) judge(points []*float64) (State, error) {
	var found []bool
	for _, p := range points {
		if p == nil {
			continue
		}
		over, err := a.breaches(*p)
		if err != nil {
			return "", err
		}
		found = append(found, over)
	}
	evaluated := found
	if len(found) >= a.periods {
		// Enough values: the newest of them count, and those that are missing do not.
		evaluated = found[:a.periods]
	}
	filled := a.periods - len(evaluated)
	breaching := len(slices.DeleteFunc(slices.Clone(evaluated), func(over bool) bool { return !over }))
	switch {
	case filled == 0:
	case a.missing == "breaching":
		breaching += filled
	case a.missing == "notBreaching":
	case a.missing == "ignore":
		if breaching > 0 || len(evaluated) == 0 {
			return Retained, nil
		}
	case len(evaluated) == 0:
		return InsufficientData, nil
	default:
		// "missing": what there is decides.
		if breaching == len(evaluated) {
			return InAlarm, nil
		}
	}
	if breaching >= a.toAlarm {
		return InAlarm, nil
	}
	return OK, nil
}

func (a *Alarm) breaches(value float64) (bool, error) {
	switch a.comparison {
	case "GreaterThanOrEqualToThreshold":
		return value >= a.threshold, nil
	case "GreaterThanThreshold":
		return value > a.threshold, nil
	case "LessThanThreshold":
		return value < a.threshold, nil
	case "LessThanOrEqualToThreshold":
		return value <= a.threshold, nil
	}
	return false, fmt.Errorf("comparison %q is not known here", a.comparison)
}

func (a *Alarm) length() (time.Duration, error) {
	for _, q := range a.queries {
		if q.MetricStat != nil {
			return time.Duration(q.MetricStat.Period) * time.Second, nil
		}
	}
	return 0, errors.New("no metric has a period")
}

// value is what the alarm compares, over one period. nil: there is none.
func (a *Alarm) value(from, until time.Time, samples []Sample) (*float64, error) {
	e := &evaluator{from: from, known: map[string]*float64{}, texts: map[string]string{}}
	result := ""
	for _, q := range a.queries {
		if q.MetricStat == nil {
			e.texts[q.ID] = q.Expression
		} else {
			value, err := q.MetricStat.over(from, until, samples)
			if err != nil {
				return nil, err
			}
			e.known[q.ID] = value
		}
		if a.plain || q.ReturnData == nil || *q.ReturnData {
			result = q.ID
		}
	}
	return e.named(result)
}

func (s *stat) over(from, until time.Time, samples []Sample) (*float64, error) {
	want := map[string]string{}
	for _, d := range s.Metric.Dimensions {
		want[d.Name] = d.Value
	}
	var values []float64
	var sum float64
	for _, x := range samples {
		if x.Namespace != s.Metric.Namespace || x.Name != s.Metric.MetricName || x.Time.Before(from) || !x.Time.Before(until) || !maps.Equal(want, x.Dimensions) {
			continue
		}
		values = append(values, x.Value)
		sum += x.Value
	}
	if len(values) == 0 {
		return nil, nil //nolint:nilnil // no value is a value here
	}
	var result float64
	switch s.Stat {
	case "Sum":
		result = sum
	case "Average":
		result = sum / float64(len(values))
	case "Maximum":
		result = slices.Max(values)
	case "Minimum":
		result = slices.Min(values)
	case "SampleCount":
		result = float64(len(values))
	default:
		return nil, fmt.Errorf("statistic %q is not known here", s.Stat)
	}
	return &result, nil
}
