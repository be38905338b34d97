package progress

import (
	"cmp"
	"math"
	"slices"

	"github.com/cozeq/cozeq/results"
)

// Tally sums records up in bounded memory.
type Tally struct {
	Answered, failed, canceled, expired int
	resumed, Asked, Cached, doubtful    int
	asksBack                            int
	Tokens, TokensIn, TokensOut         int64
	Cost                                spread // tokens of a question that was asked
	failures                            map[failureKind]*FailureCount
	Took                                latency
}

type failureKind struct {
	class string
	code  int
}

// spread is the mean and the deviation of numbers.
type spread struct {
	N           int
	sum, square float64
}

func (s *spread) add(x float64) {
	s.N++
	s.sum += x
	s.square += x * x
}

func (s *spread) Mean() float64 {
	if s.N == 0 {
		return 0
	}
	return s.sum / float64(s.N)
}

func (s *spread) Deviation() float64 {
	if s.N < 2 {
		return 0
	}
	m := s.Mean()
	return math.Sqrt(max(0, (s.square-m*s.sum)/float64(s.N-1)))
}

func (t *Tally) Add(r *results.Result, now bool) {
	switch {
	case !now:
		t.resumed++
	case !r.Cached:
		t.Asked++
	}
	if r.PossibleDuplicate {
		t.doubtful++
	}
	if r.AsksBack != "" {
		t.asksBack++
	}
	switch r.Status {
	case results.Completed:
		t.Answered++
	case results.Canceled:
		t.canceled++
	case results.Expired:
		t.expired++
	default:
		t.failed++
	}
	if r.Cached {
		t.Cached++ // nothing was billed, and no time was spent
		return
	}
	billed := r.Billed()
	t.Spend(billed)
	if WasAsked(r) {
		t.Cost.add(float64(billed.TokenCount))
	}
	if !r.StartedAt.IsZero() && !r.CompletedAt.IsZero() {
		t.Took.add(r.CompletedAt.Sub(r.StartedAt.Time))
	}
	if r.Status != results.Completed {
		t.fail(r)
	}
}

func (t *Tally) Spend(u results.Usage) {
	t.Tokens += u.TokenCount
	t.TokensIn += u.InputCount
	t.TokensOut += u.OutputCount
}

// WasAsked reports whether the question of a record went to Coze. One that was canceled or expired before did not.
func WasAsked(r *results.Result) bool {
	if r.Cached {
		return false
	}
	return r.ChatID != "" || r.Attempts > 0 || r.Status == results.Completed || r.Status == results.Failed
}

func (t *Tally) fail(r *results.Result) {
	// A record read back from a .csv has no class; its status stands in for it.
	f := results.Failure{Class: string(r.Status)}
	if r.Error != nil {
		f = *r.Error
		f.Class = cmp.Or(f.Class, string(r.Status))
	}
	if t.failures == nil {
		t.failures = make(map[failureKind]*FailureCount)
	}
	kind := failureKind{f.Class, f.Code}
	if t.failures[kind] == nil {
		t.failures[kind] = &FailureCount{
			Class: f.Class, Code: f.Code, CustomID: r.CustomID, Message: f.Message, Hint: f.Hint,
		}
	}
	t.failures[kind].Count++
}

func (t *Tally) Done() int { return t.Answered + t.failed + t.canceled + t.expired }

func (t *Tally) Classes() []ClassCount {
	classes := make(map[string]int)
	for kind, f := range t.failures {
		classes[kind.class] += f.Count
	}
	return ClassCounts(classes)
}

func ClassCounts(classes map[string]int) []ClassCount {
	var all []ClassCount
	for class, n := range classes {
		all = append(all, ClassCount{class, n})
	}
	slices.SortFunc(all, func(a, b ClassCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	return all
}

func (t *Tally) Summary() Summary {
	s := Summary{
		Answered: t.Answered, Failed: t.failed, Canceled: t.canceled, Expired: t.expired,
		Resumed: t.resumed, Asked: t.Asked, Cached: t.Cached, Doubtful: t.doubtful, AsksBack: t.asksBack,
		Tokens: t.Tokens, TokensIn: t.TokensIn, TokensOut: t.TokensOut,
		Mean: t.Took.Mean(), P95: t.Took.quantile(0.95),
	}
	for _, f := range t.failures {
		s.Failures = append(s.Failures, *f)
	}
	slices.SortFunc(s.Failures, func(a, b FailureCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Code, b.Code))
	})
	return s
}
