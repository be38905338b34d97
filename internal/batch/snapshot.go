package batch

import "time"

// Snapshot is how far a run has come.
type Snapshot struct {
	Total    int // rows of the input; 0 while it is still checked
	Done     int // rows that have a record, of earlier runs too
	Failed   int // of these, without an answer: failed, canceled, expired
	InFlight int // rows in the queue or being asked

	Tokens  int64         // of all records
	Rate    float64       // records a second, over the last ten seconds
	Elapsed time.Duration // since Run was called
}

// snapshotEvery is the least time between two calls of OnSnapshot: what an eye can follow.
const snapshotEvery = 100 * time.Millisecond

// meter counts events over the last ten seconds.
type meter struct {
	start  time.Time
	counts [10]int
	last   int64 // the second, since start, that was counted last
}

// advance empties the buckets of the seconds that have passed without an event.
func (m *meter) advance(now time.Time) int64 {
	second := int64(now.Sub(m.start) / time.Second)
	for s := max(m.last+1, second-int64(len(m.counts))+1); s <= second; s++ {
		m.counts[s%int64(len(m.counts))] = 0
	}
	m.last = max(m.last, second)
	return m.last
}

func (m *meter) add(now time.Time) {
	m.counts[m.advance(now)%int64(len(m.counts))]++
}

// rate is events a second. The first seconds divide by the time there was.
func (m *meter) rate(now time.Time) float64 {
	m.advance(now)
	n := 0
	for _, c := range m.counts {
		n += c
	}
	over := min(now.Sub(m.start), time.Duration(len(m.counts))*time.Second)
	return float64(n) / max(over.Seconds(), 0.1)
}
