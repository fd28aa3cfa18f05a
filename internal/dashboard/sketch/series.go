package sketch

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
)

// points of a series, over three hours.
const points = 72

// series is a made-up course of a metric, the same every time: what it looks like
// on a quiet day with one thing to see.
func series(metric, label string) []float64 {
	random := source(metric + "/" + label)
	values := make([]float64, points)
	for i := range values {
		values[i] = at(metric, float64(i)/(points-1), random)
	}
	return values
}

// at is a metric at a time between 0 and 1.
func at(metric string, time float64, random *rand.Rand) float64 {
	bump := func(centre, width, height float64) float64 {
		return height * math.Exp(-math.Pow((time-centre)/width, 2))
	}
	noise := func(size float64) float64 { return size * random.Float64() }
	few := func(chance float64, most int) float64 {
		if random.Float64() < chance {
			return float64(1 + random.IntN(most))
		}
		return 0
	}
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.HasPrefix(metric, word) {
				return true
			}
		}
		return false
	}
	switch {
	case has("GroupDesiredCapacity"):
		return 1
	case has("GroupInServiceInstances"):
		// An instance is replaced: the new one is there before the old one goes.
		if time > 0.55 && time < 0.62 {
			return 2
		}
		return 1
	case has("StatusCheckFailed", "Broken", "PacketsDropped"):
		return 0
	case has("HealthyHostCount"):
		return 1
	case has("ActiveConnections"):
		return 4 + math.Round(noise(2)+bump(0.35, 0.12, 7))
	case has("CPUUtilization"):
		return 3 + noise(3) + bump(0.3, 0.05, 22) + bump(0.58, 0.03, 55) + bump(0.8, 0.06, 12)
	case has("mem_used_percent"):
		return 41 + noise(1.5) + bump(0.35, 0.15, 9) - bump(0.62, 0.04, 12)
	case has("disk_used_percent"):
		if time > 0.6 {
			return 21 + 3*(time-0.6)
		}
		return 27 + 6*time
	case has("Arrival"):
		return 600 + noise(900) + bump(0.58, 0.02, 3400)
	case has("Checks"):
		return 22
	case has("Accepted"):
		return few(0.25+bump(0.3, 0.15, 0.5), 3)
	case has("FailedKeys"):
		return few(0.06, 2) + math.Round(bump(0.97, 0.03, 26)) // the alarm that the sketch shows
	case has("InvalidUsers"):
		return few(0.05, 2)
	default:
		return few(0.05, 2)
	}
}

func source(seed string) *rand.Rand {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(seed))
	return rand.New(rand.NewPCG(sum.Sum64(), 1)) //nolint:gosec // a sketch is the same every time
}
