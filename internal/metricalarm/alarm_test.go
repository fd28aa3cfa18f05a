package metricalarm

import (
	"strings"
	"testing"
	"time"
)

// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html:
// the two tables of an alarm with three periods, the newest value last. X breaches.
func TestMissingData(t *testing.T) {
	for _, c := range []struct {
		points  string
		toAlarm int
		want    map[string]State
	}{
		{"0-X-X", 3, map[string]State{"missing": OK, "ignore": OK, "breaching": OK, "notBreaching": OK}},
		{"----0", 3, map[string]State{"missing": OK, "ignore": OK, "breaching": OK, "notBreaching": OK}},
		{"-----", 3, map[string]State{"missing": InsufficientData, "ignore": Retained, "breaching": InAlarm, "notBreaching": OK}},
		{"0XX-X", 3, map[string]State{"missing": InAlarm, "ignore": InAlarm, "breaching": InAlarm, "notBreaching": InAlarm}},
		{"--X--", 3, map[string]State{"missing": InAlarm, "ignore": Retained, "breaching": InAlarm, "notBreaching": OK}},
		{"0-X-X", 2, map[string]State{"missing": InAlarm, "ignore": InAlarm, "breaching": InAlarm, "notBreaching": InAlarm}},
		{"00X0X", 2, map[string]State{"missing": InAlarm, "ignore": InAlarm, "breaching": InAlarm, "notBreaching": InAlarm}},
		{"0-X--", 2, map[string]State{"breaching": InAlarm, "notBreaching": OK}},
		{"-----", 2, map[string]State{"missing": InsufficientData, "ignore": Retained, "breaching": InAlarm, "notBreaching": OK}},
	} {
		for missing, want := range c.want {
			a := &Alarm{comparison: "GreaterThanOrEqualToThreshold", threshold: 1, periods: 3, toAlarm: c.toAlarm, missing: missing}
			var points []*float64
			for _, r := range c.points {
				var p *float64
				if r != '-' {
					value := 0.0
					if r == 'X' {
						value = 1
					}
					p = &value
				}
				points = append([]*float64{p}, points...)
			}
			if got, err := a.judge(points); err != nil || got != want {
				t.Errorf("%s, %d of 3, %s: %s %v, want %s", c.points, c.toAlarm, missing, got, err, want)
			}
		}
	}
}

func TestStatistics(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var samples []Sample
	for i, value := range []float64{1, 2, 6} {
		samples = append(samples, Sample{Namespace: "N", Name: "M", Time: now.Add(-time.Duration(i+1) * time.Minute), Value: value})
	}
	samples = append(samples,
		Sample{Namespace: "N", Name: "M", Dimensions: map[string]string{"A": "b"}, Time: now.Add(-time.Minute), Value: 100},
		Sample{Namespace: "N", Name: "M", Time: now, Value: 100}, Sample{Namespace: "N", Name: "M", Time: now.Add(-time.Hour), Value: 100})
	for stat, want := range map[string]float64{"Sum": 9, "Average": 3, "Maximum": 6, "Minimum": 1, "SampleCount": 3} {
		for _, threshold := range []float64{want, want + 0.5} {
			a, err := Read(map[string]any{
				"Namespace": "N", "MetricName": "M", "Statistic": stat, "Period": 600, "Threshold": threshold, "EvaluationPeriods": 1,
				"ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
			})
			if err != nil {
				t.Fatal(err)
			}
			state, err := a.State(now, samples)
			if err != nil || (state == InAlarm) != (threshold == want) {
				t.Errorf("%s at %g: %s %v", stat, threshold, state, err)
			}
		}
	}
}

func TestMath(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC) // a Sunday
	five := 5.0
	for text, want := range map[string]float64{
		"m + 2 * 3 - 1": 10, "IF(m > 4, 1, 0)": 1, "IF(m < 4 OR m >= 5, 7, 8)": 7, "IF((m > 4) AND (m <= 4), 7, 8)": 8, "FILL(gone, 3)": 3,
		"DAY(m)": 7, "HOUR(m)": 8, "MINUTE(m)": 15, "EPOCH(m)": float64(at.Unix()), "twice + 1": 11,
	} {
		e := &evaluator{from: at, known: map[string]*float64{"m": &five, "gone": nil}, texts: map[string]string{"twice": "m * 2"}}
		if got, err := e.expression(text); err != nil || got == nil || *got != want {
			t.Errorf("%s: %v %v, want %g", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"m ^ 2": "not known", "SEARCH(m)": "not known", "IF(m)": "not known", "nobody": "no metric", "self": "no metric", `"a"`: "invalid", "m > ": "expected", "-m": "not known",
		"gone + 1": "", "DAY(gone)": "", "IF(gone, 1, 0)": "",
	} {
		e := &evaluator{from: at, known: map[string]*float64{"m": &five, "gone": nil}, texts: map[string]string{"self": "self + 1"}}
		got, err := e.expression(text)
		if want == "" && (got != nil || err != nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v %v, want %q", text, got, err, want)
		}
	}
}

func TestRead(t *testing.T) {
	if _, err := Read(map[string]any{"Namespace": "N"}); err == nil {
		t.Error("an alarm without a metric was read")
	}
	a := &Alarm{comparison: "LessThanLowerThreshold", periods: 1, toAlarm: 1}
	one := 1.0
	if _, err := a.judge([]*float64{&one}); err == nil {
		t.Error("an unknown comparison was made")
	}
}
