package cozetest

import (
	"net/http"
	"strconv"
	"time"
)

// bucket allows rate calls a second and, after a pause, one second's worth at
// once. Its owner locks it.
type bucket struct {
	rate   float64
	level  float64
	filled time.Time
}

// take returns how long to wait, 0 when the call may pass.
func (b *bucket) take(now time.Time) time.Duration {
	if b.rate <= 0 {
		return 0
	}
	size := max(b.rate, 1)
	if b.filled.IsZero() {
		b.level = size
	} else {
		b.level = min(size, b.level+now.Sub(b.filled).Seconds()*b.rate)
	}
	b.filled = now
	if b.level < 1 {
		return time.Duration((1 - b.level) / b.rate * float64(time.Second))
	}
	b.level--
	return 0
}

// SetRate replaces Config.Rate.
func (f *Fake) SetRate(rate float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bucket, f.runBucket = bucket{rate: rate}, bucket{rate: rate}
}

func (x *exchange) limited() bool {
	f := x.fake
	f.mu.Lock()
	b := &f.bucket
	if x.route.ofWorkflows() {
		b = &f.runBucket
	}
	wait := b.take(time.Now())
	f.mu.Unlock()
	if wait == 0 {
		return false
	}
	r := refuse(codeModel, "request rate exceeds the limit")
	if f.cfg.RateHTTP {
		r.status = http.StatusTooManyRequests
		r.after = strconv.Itoa(int((wait + time.Second - 1) / time.Second))
	}
	x.refuse(r)
	return true
}
