package people

import (
	"fmt"
	"testing"
)

// BenchmarkFirst and BenchmarkSteady are a first run and one in which nothing
// changed. requests/op counts those to S3.
func BenchmarkFirst(b *testing.B) {
	for _, count := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				h := crowd(b, count)
				b.StartTimer()
				h.must()
				b.ReportMetric(float64(len(h.bucket.calls())), "requests/op")
			}
		})
	}
}

func BenchmarkSteady(b *testing.B) {
	for _, count := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			h := crowd(b, count)
			h.must()
			h.bucket.calls()
			b.ResetTimer()
			for range b.N {
				h.must()
			}
			b.ReportMetric(float64(len(h.bucket.calls()))/float64(b.N), "requests/op")
		})
	}
}

func crowd(b *testing.B, count int) *host {
	b.Helper()
	h := newHost(b)
	for i := range count {
		h.add(fmt.Sprintf("person-%05d", i))
	}
	return h
}
