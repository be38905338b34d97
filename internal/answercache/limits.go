package answercache

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

const (
	// limitsFile is beside the answers, and without their extension.
	limitsFile = "limits"
	limitsKind = "limits"

	// limitsKept is how long a rate counts: long enough for a run each night. One that is wrong by then costs little: the limiter
	// follows a limit that has moved within seconds.
	limitsKept = 48 * time.Hour

	// limitsRenewed is how old the note of a rate that has not moved may become while a run goes on.
	limitsRenewed = time.Hour
)

// limits are the rates that runs have learnt, by credential (a hash).
type limits struct {
	Cozeq   string           `json:"cozeq"`
	Version int              `json:"version"`
	Limits  map[string]limit `json:"limits"`
}

type limit struct {
	Rate float64   `json:"calls_per_second"`
	At   time.Time `json:"at"` // when it was noted
}

// counts is false for what is damaged or too old, and for a time so far ahead that a clock was wrong.
func (l limit) counts(now time.Time) bool {
	return l.Rate > 0 && l.Rate < 1e6 && now.Sub(l.At).Abs() < limitsKept
}

// Limits are the rates that runs with this cache have learnt, in calls a second by credential. A file that is damaged counts as
// missing.
func (c *Cache) Limits() map[string]float64 {
	rates := make(map[string]float64)
	for credential, l := range c.limits(time.Now()) {
		rates[credential] = l.Rate
	}
	return rates
}

func (c *Cache) limits(now time.Time) map[string]limit {
	known := limits{}
	raw, err := os.ReadFile(filepath.Join(c.dir, limitsFile))
	if err != nil || json.Unmarshal(raw, &known) != nil || known.Cozeq != limitsKind || known.Version != version {
		known.Limits = nil
	}
	counting := make(map[string]limit)
	for credential, l := range known.Limits {
		if l.counts(now) {
			counting[credential] = l
		}
	}
	return counting
}

// NoteLimits keeps rates for the next run, if one has moved by more than a fifth: at a limit CUBIC moves by less. The rates
// of other credentials stay. Of two processes that note at the same moment one may lose its note, which it writes again when
// its rate moves.
func (c *Cache) NoteLimits(learnt map[string]float64) error {
	now := time.Now()
	known, moved := c.limits(now), false
	for credential, rate := range learnt {
		before := known[credential]
		if rate > 1.2*before.Rate || rate < before.Rate/1.2 || now.Sub(before.At) > limitsRenewed {
			known[credential], moved = limit{rate, now.UTC()}, true
		}
	}
	if !moved {
		return nil
	}
	content, err := json.Marshal(limits{limitsKind, version, known})
	if err != nil {
		return err
	}
	return c.place(filepath.Join(c.dir, limitsFile), append(content, '\n'), 0o600)
}
