package progress

import "time"

// The seconds over which a meter averages: for the current rate, and for the time that is left, which must not jump whenever
// a slow bot answers.
const (
	shortSight = 10
	longSight  = 60
)

// Meter counts events in each second of the last minute.
type Meter struct {
	Start  time.Time
	counts [longSight]int
	last   int64 // the second since Start that was counted last
	total  int
}

// advance clears the buckets of the seconds since the last event.
func (m *Meter) advance(now time.Time) int64 {
	second := int64(now.Sub(m.Start) / time.Second)
	for s := max(m.last+1, second-longSight+1); s <= second; s++ {
		m.counts[s%longSight] = 0
	}
	m.last = max(m.last, second)
	return m.last
}

func (m *Meter) Add(now time.Time) { m.Count(now, 1) }

func (m *Meter) Count(now time.Time, n int) {
	m.counts[m.advance(now)%longSight] += n
	m.total += n
}

// over is events a second over the last so many seconds, or since the start if that is later.
func (m *Meter) over(now time.Time, seconds int64) float64 {
	last, n := m.advance(now), 0
	for s := max(0, last-seconds+1); s <= last; s++ {
		n += m.counts[s%longSight]
	}
	return float64(n) / max(min(now.Sub(m.Start).Seconds(), float64(seconds)), 0.1)
}

func (m *Meter) Rate(now time.Time) float64 { return m.over(now, shortSight) }

func (m *Meter) Mean(now time.Time) float64 {
	return float64(m.total) / max(now.Sub(m.Start).Seconds(), 0.1)
}

// tooSoon is how long after the start the time that is left is unknown: the first answers are still awaited.
const tooSoon = 3 * time.Second

// Left is how long so many more events will take; 0 = unknown: it is too soon, or there was none for a minute.
func (m *Meter) Left(now time.Time, events int) time.Duration {
	rate := m.over(now, longSight)
	if rate == 0 || events <= 0 || now.Sub(m.Start) < tooSoon {
		return 0
	}
	return time.Duration(min(float64(events)/rate, 1e9) * float64(time.Second))
}
