package filerun

import (
	"context"
	"hash/maphash"
	"math"
	"time"

	"github.com/cozeq/cozeq/internal/progress"
)

// sampler looks at the whole input before a sample of it is asked.
type sampler struct {
	eligible []int32        // rows that can be in the sample
	known    int            // rows that will cost nothing: the cache has them, or a row before them asks the same
	left     int            // rows without a record that have to be asked
	turns    map[uint64]int // of these, by lane
	longest  int            // the most turns of one lane
}

// chooseSample chooses the rows of the sample: the same ones in each run over this input. Of a conversation only the first
// turn can be chosen, as the later ones need all before them.
func (r *run) chooseSample(ctx context.Context) error {
	if r.Sample <= 0 {
		return nil
	}
	s := &sampler{turns: make(map[uint64]int)}
	seed := maphash.MakeSeed()
	lanes, keys := make(map[uint64]bool), make(map[string]bool)
	for row, err := range r.Input.Rows() {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ended := r.journal.Ended(row.N)
		if lane := row.Chat.Lane(); lane != "" {
			h := maphash.String(seed, lane)
			if !lanes[h] {
				lanes[h] = true
				s.eligible = append(s.eligible, int32(row.N))
			}
			if !ended {
				s.left++
				s.turns[h]++
				s.longest = max(s.longest, s.turns[h])
			}
			continue
		}
		if r.Cache != nil && !ended {
			if key := r.Cache.Key(row.Chat); key != "" {
				if keys[key] || r.Cache.Get(key) != nil {
					s.known++
					continue
				}
				keys[key] = true
			}
		}
		s.eligible = append(s.eligible, int32(row.N))
		if !ended {
			s.left++
		}
	}
	n := min(r.Sample, len(s.eligible))
	if r.MaxQuestions > 0 {
		n = min(n, r.MaxQuestions)
	}
	r.sample = make(map[int]bool, n)
	for i := range n {
		r.sample[int(s.eligible[(2*i+1)*len(s.eligible)/(2*n)])] = true
	}
	r.mu.Lock()
	r.sampled = s
	r.mu.Unlock()
	return nil
}

// errors in 19 of 20 cases are within so many deviations; with 20 samples it is Student's 2.09.
const deviations = 2.09

// estimate projects; r.mu is held. nil where nothing was sampled.
func (r *run) estimate() *progress.Estimate {
	s := r.sampled
	if s == nil {
		return nil
	}
	cost, took := &r.tally.Cost, &r.tally.Took
	e := &progress.Estimate{Asked: cost.N, Rest: max(0, s.left-r.tally.Asked), Known: s.known, Chain: s.longest}
	e.Allowed = e.Rest
	if r.MaxQuestions > 0 {
		e.Allowed = min(e.Allowed, max(0, r.MaxQuestions-r.budget.questions))
	}
	if r.MaxTokens > 0 && cost.Mean() > 0 {
		e.Allowed = min(e.Allowed, int(max(0, math.Ceil(float64(r.MaxTokens-r.tally.Tokens)/cost.Mean()))))
	}
	if cost.N > 0 {
		// Two things are not known: the mean, which the sample tells to s/sqrt(n), and what these m happen to cost.
		m, n := float64(e.Allowed), float64(cost.N)
		off := deviations * cost.Deviation() * math.Sqrt(m+m*m/n)
		e.Tokens = int64(m * cost.Mean())
		e.TokensLow, e.TokensHigh = int64(max(0, m*cost.Mean()-off)), int64(m*cost.Mean()+off)
	}
	if took.N > 0 {
		mean := took.Mean()
		off := time.Duration(deviations * float64(took.Deviation()) / math.Sqrt(float64(took.N)))
		e.Question, e.QuestionLow, e.QuestionHigh = mean, max(mean/10, mean-off), mean+off
	}
	return e
}
