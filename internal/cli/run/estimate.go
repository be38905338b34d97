package run

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
)

// pace is how fast a run can ask.
type pace struct {
	concurrency int
	rate        float64 // questions a second, at most; 0 = no bound is set
	learnt      float64 // calls a second that Coze has allowed so far; 0 = not known
}

// estimateJSON is an estimate for programs; durations are in seconds.
type estimateJSON struct {
	Asked           int        `json:"asked"`   // questions that it rests on
	Rest            int        `json:"rest"`    // questions that are left to be asked
	Known           int        `json:"known"`   // questions that the cache answers, or another row's
	Allowed         int        `json:"allowed"` // of the rest, by the budget
	Tokens          int64      `json:"tokens"`  // of those that are allowed
	TokensRange     [2]int64   `json:"tokens_range"`
	Seconds         float64    `json:"seconds"`
	SecondsRange    [2]float64 `json:"seconds_range"`
	Concurrency     int        `json:"concurrency"`
	QuestionSeconds float64    `json:"question_seconds"`
}

// times is how long the rest takes. The least it can take is what the concurrency
// allows; the most, what Coze has been seen to allow.
func (p pace) times(e *progress.Estimate) (likely, low, high time.Duration) {
	likely, low, high = e.Time(p.concurrency, p.rate)
	if p.learnt > 0 {
		high = max(high, time.Duration(float64(e.Allowed)/p.learnt*float64(time.Second)))
	}
	return likely, low, high
}

func estimateRecord(e *progress.Estimate, p pace) *estimateJSON {
	if e == nil {
		return nil
	}
	likely, low, high := p.times(e)
	return &estimateJSON{
		Asked: e.Asked, Rest: e.Rest, Known: e.Known, Allowed: e.Allowed,
		Tokens: e.Tokens, TokensRange: [2]int64{e.TokensLow, e.TokensHigh},
		Seconds: terminal.Seconds(likely), SecondsRange: [2]float64{terminal.Seconds(low), terminal.Seconds(high)},
		Concurrency: p.concurrency, QuestionSeconds: terminal.Seconds(e.Question),
	}
}

// printEstimate says what the rest of an input will take.
func printEstimate(w io.Writer, e *progress.Estimate, p pace, b runBounds) {
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line("estimate, by the %s asked so far:", terminal.Questions(e.Asked))
	if e.Known > 0 {
		line("  %s more cost nothing: the cache has the answer, or will have it", terminal.Count(e.Known))
	}
	what := "  left to ask: " + terminal.Count(e.Rest)
	if e.Allowed < e.Rest {
		what += fmt.Sprintf("; %s is enough for about %s", b.text(), terminal.Count(e.Allowed))
	}
	line("%s", what)
	if e.Allowed == 0 || e.Asked == 0 {
		return
	}
	line("  tokens: about %s (%s to %s), %s a question", about(e.Tokens), about(e.TokensLow), about(e.TokensHigh), terminal.Count(int(e.Tokens)/e.Allowed))
	likely, low, high := p.times(e)
	line("  time: about %s (%s to %s), %s a question, %s at a time", terminal.Rounded(likely), terminal.Rounded(low), terminal.Rounded(high), terminal.Rounded(e.Question), terminal.Count(p.concurrency))
	if e.Chain > 1 && e.Question*time.Duration(min(e.Chain, e.Allowed)) >= likely {
		line("  the longest conversation, of %s turns, takes that long by itself", terminal.Count(e.Chain))
	}
	line("  it takes longer where Coze limits the rate, or is slower with more questions at a time")
}

// text is the budget as it was given.
func (b runBounds) text() string {
	switch {
	case b.maxTokens > 0 && b.maxQuestions > 0:
		return fmt.Sprintf("--max-tokens %s, --max-questions %s", terminal.Count(int(b.maxTokens)), terminal.Count(b.maxQuestions))
	case b.maxTokens > 0:
		return "--max-tokens " + terminal.Count(int(b.maxTokens))
	}
	return "--max-questions " + terminal.Count(b.maxQuestions)
}

// about is a number with the three digits that an estimate has.
func about(n int64) string {
	if n < 1000 {
		return terminal.Count(int(n))
	}
	unit := math.Pow10(int(math.Log10(float64(n))) - 2)
	return terminal.Count(int(math.Round(float64(n)/unit) * unit))
}
