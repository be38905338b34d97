package batch

import (
	"cmp"
	"slices"
	"time"

	"github.com/cozeq/cozeq/results"
)

// Summary is what a run has come to, over all rows that have a record.
type Summary struct {
	Rows int // of the input

	Answered int // completed
	Failed   int
	Canceled int
	Expired  int

	// Resumed of these records were there when the run began, Asked came now.
	Resumed int
	Asked   int

	// AlreadyComplete is true where OUTPUT was complete before, so nothing was done.
	AlreadyComplete bool

	// Failures counts what did not get an answer, the most frequent first.
	Failures []FailureCount

	Tokens, TokensIn, TokensOut int64

	// Elapsed is the time that this run took; Mean and P95 are what one question took from its start to its end,
	// over all records that tell. P95 is exact to 10 %.
	Elapsed   time.Duration
	Mean, P95 time.Duration

	Output  string // "" = stdout
	Journal string // where the run goes on; "" once OUTPUT is complete, and with stdout
}

// FailureCount counts one kind of failure, with an example.
type FailureCount struct {
	Class string
	Code  int // Coze's; 0 = none
	Count int

	CustomID string // of the first row that had it
	Message  string
	Hint     string
}

// Done is the number of rows that have a record.
func (s *Summary) Done() int { return s.Answered + s.Failed + s.Canceled + s.Expired }

// tally adds records up in bounded memory.
type tally struct {
	answered, failed, canceled, expired int
	resumed, asked                      int
	tokens, tokensIn, tokensOut         int64
	failures                            map[failureKind]*FailureCount
	took                                latency
}

type failureKind struct {
	class string
	code  int
}

func (t *tally) add(r *results.Result, now bool) {
	if now {
		t.asked++
	} else {
		t.resumed++
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
	if u := r.Usage; u != nil {
		t.tokens += u.TokenCount
		t.tokensIn += u.InputCount
		t.tokensOut += u.OutputCount
	}
	if !r.StartedAt.IsZero() && !r.CompletedAt.IsZero() {
		t.took.add(r.CompletedAt.Sub(r.StartedAt.Time))
	}
	if r.Status == results.Completed {
		return
	}
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

func (t *tally) summary() Summary {
	s := Summary{
		Answered: t.answered, Failed: t.failed, Canceled: t.canceled, Expired: t.expired,
		Resumed: t.resumed, Asked: t.asked,
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
