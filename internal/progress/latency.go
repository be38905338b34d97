package progress

import (
	"math"
	"time"
)

// latency estimates quantiles of durations in fixed memory: buckets that grow by a factor of 2^(1/8), 9 %, from 1 ms
// to four days.
type latency struct {
	N       int
	sum     time.Duration
	seconds spread
	buckets [29 * 8]int
}

func (l *latency) add(d time.Duration) {
	d = max(d, 0)
	l.N++
	l.sum += d
	l.seconds.add(d.Seconds())
	b := 0
	if ms := float64(d) / float64(time.Millisecond); ms > 1 {
		b = min(int(math.Ceil(8*math.Log2(ms))), len(l.buckets)-1)
	}
	l.buckets[b]++
}

func (l *latency) Mean() time.Duration {
	if l.N == 0 {
		return 0
	}
	return l.sum / time.Duration(l.N)
}

func (l *latency) Deviation() time.Duration {
	return time.Duration(l.seconds.Deviation() * float64(time.Second))
}

// quantile returns the upper end of the bucket in which the quantile lies.
func (l *latency) quantile(q float64) time.Duration {
	if l.N == 0 {
		return 0
	}
	rank := max(1, int(math.Ceil(q*float64(l.N))))
	for b, n := range l.buckets {
		if rank -= n; rank <= 0 {
			return time.Duration(math.Exp2(float64(b)/8) * float64(time.Millisecond))
		}
	}
	return 0
}
