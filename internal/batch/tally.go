package batch

import (
	"cmp"
	"math"
	"slices"

	"github.com/cozeq/cozeq/results"
)

// tally adds records up in bounded memory.
type tally struct {
	answered, failed, canceled, expired int
	resumed, asked, cached, doubtful    int
	tokens, tokensIn, tokensOut         int64
	cost                                spread // tokens of a question that was asked
	failures                            map[failureKind]*FailureCount
	took                                latency
}

type failureKind struct {
	class string
	code  int
}

// spread keeps what it takes to tell the mean and the deviation.
type spread struct {
	n           int
	sum, square float64
}

func (s *spread) add(x float64) {
	s.n++
	s.sum += x
	s.square += x * x
}

func (s *spread) mean() float64 {
	if s.n == 0 {
		return 0
	}
	return s.sum / float64(s.n)
}

// deviation is that of the population, as far as the sample tells.
func (s *spread) deviation() float64 {
	if s.n < 2 {
		return 0
	}
	m := s.mean()
	return math.Sqrt(max(0, (s.square-m*s.sum)/float64(s.n-1)))
}

func (t *tally) add(r *results.Result, now bool) {
	switch {
	case !now:
		t.resumed++
	case !r.Cached:
		t.asked++
	}
	if r.PossibleDuplicate {
		t.doubtful++
	}
	switch r.Status {
	case results.Completed:
		t.answered++
	case results.Canceled:
		t.canceled++
	case results.Expired:
		t.expired++
	default:
		t.failed++
	}
	if r.Cached {
		t.cached++ // nothing was billed, and nothing took its time
		return
	}
	billed := r.Billed()
	t.spend(billed)
	if wasAsked(r) {
		t.cost.add(float64(billed.TokenCount))
	}
	if !r.StartedAt.IsZero() && !r.CompletedAt.IsZero() {
		t.took.add(r.CompletedAt.Sub(r.StartedAt.Time))
	}
	if r.Status != results.Completed {
		t.fail(r)
	}
}

// spend adds what was billed.
func (t *tally) spend(u results.Usage) {
	t.tokens += u.TokenCount
	t.tokensIn += u.InputCount
	t.tokensOut += u.OutputCount
}

// wasAsked tells a record of a question that went to Coze from one of a question that was canceled or had expired
// before.
func wasAsked(r *results.Result) bool {
	if r.Cached {
		return false
	}
	return r.ChatID != "" || r.Attempts > 0 || r.Status == results.Completed || r.Status == results.Failed
}

func (t *tally) fail(r *results.Result) {
	// A record read back from a .csv has no class: its status says at least what became of it.
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

func (t *tally) done() int { return t.answered + t.failed + t.canceled + t.expired }

// classes counts the failures by class.
func (t *tally) classes() []ClassCount {
	classes := make(map[string]int)
	for kind, f := range t.failures {
		classes[kind.class] += f.Count
	}
	return classCounts(classes)
}

func classCounts(classes map[string]int) []ClassCount {
	var all []ClassCount
	for class, n := range classes {
		all = append(all, ClassCount{class, n})
	}
	slices.SortFunc(all, func(a, b ClassCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	return all
}

func (t *tally) summary() Summary {
	s := Summary{
		Answered: t.answered, Failed: t.failed, Canceled: t.canceled, Expired: t.expired,
		Resumed: t.resumed, Asked: t.asked, Cached: t.cached, Doubtful: t.doubtful,
		Tokens: t.tokens, TokensIn: t.tokensIn, TokensOut: t.tokensOut,
		Mean: t.took.mean(), P95: t.took.quantile(0.95),
	}
	for _, f := range t.failures {
		s.Failures = append(s.Failures, *f)
	}
	slices.SortFunc(s.Failures, func(a, b FailureCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Code, b.Code))
	})
	return s
}
