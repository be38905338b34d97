package filerun

import (
	"context"
	"hash/maphash"
	"math"
	"time"

	"github.com/cozeq/cozeq/internal/progress"
)

// sample is the rows of a sample, and what the whole input needs.
type sample struct {
	rows    map[int]bool // by number
	known   int          // rows that will cost nothing: the cache has them, or a row before them asks the same
	left    int          // rows without a record that have to be asked
	longest int          // the most turns of one conversation, of these
}

// chooseSample chooses the rows of the sample: the same ones in each run over this input. Of a conversation only the first
// turn can be chosen, as the later ones need all before them.
func (r *run) chooseSample(ctx context.Context) error {
	if r.job.Sample <= 0 {
		return nil
	}
	s := &sample{}
	var eligible []int32 // rows that can be in the sample
	seed := maphash.MakeSeed()
	turns, keys := make(map[uint64]int), make(map[string]bool)
	for row, err := range r.job.Input.Rows() {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ended := r.journal.Ended(row.N)
		if lane := row.Chat.Lane(); lane != "" {
			h := maphash.String(seed, lane)
			open, known := turns[h]
			if !known {
				eligible = append(eligible, int32(row.N))
			}
			if !ended {
				s.left++
				open++
			}
			turns[h] = open
			s.longest = max(s.longest, open)
			continue
		}
		if r.job.Cache != nil && !ended {
			if key := r.job.Cache.Key(row.Chat); key != "" {
				if keys[key] || r.job.Cache.Get(key) != nil {
					s.known++
					continue
				}
				keys[key] = true
			}
		}
		eligible = append(eligible, int32(row.N))
		if !ended {
			s.left++
		}
	}
	n := min(r.job.Sample, len(eligible))
	if r.job.MaxQuestions > 0 {
		n = min(n, r.job.MaxQuestions)
	}
	s.rows = make(map[int]bool, n)
	for i := range n {
		s.rows[int(eligible[(2*i+1)*len(eligible)/(2*n)])] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sample = s
	return nil
}

// deviations is the bound of errors in 19 of 20 cases; with 20 samples it is Student's 2.09.
const deviations = 2.09

// estimate projects from the rows that were asked; nil without a sample.
func (s *sample) estimate(b *budget, t *progress.Tally) *progress.Estimate {
	if s == nil {
		return nil
	}
	cost, took := &t.Cost, &t.Took
	e := &progress.Estimate{Asked: cost.N, Rest: max(0, s.left-t.Asked), Known: s.known, Chain: s.longest}
	e.Allowed = e.Rest
	if b.maxQuestions > 0 {
		e.Allowed = min(e.Allowed, max(0, b.maxQuestions-b.questions))
	}
	if b.maxTokens > 0 && cost.Mean() > 0 {
		e.Allowed = min(e.Allowed, int(max(0, math.Ceil(float64(b.maxTokens-t.Tokens)/cost.Mean()))))
	}
	if cost.N > 0 {
		// Two things are uncertain: the mean, which the sample gives to s/sqrt(n), and what these m questions happen to cost.
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
