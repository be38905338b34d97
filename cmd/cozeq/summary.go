package main

import (
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/progress"
)

// printSummary says on stderr what a run has come to.
func printSummary(s *streams, sum progress.Summary) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if sum.AlreadyComplete {
		line("%s is complete already: %s, nothing was asked; --retry-failed asks the failed ones again, --force starts over",
			sum.Output, questions(sum.Rows))
	}
	parts := []string{s.color(s.ErrTTY, green, count(sum.Answered)+" answered")}
	for _, part := range []struct {
		n    int
		what string
	}{{sum.Failed, "failed"}, {sum.Canceled, "canceled"}, {sum.Expired, "expired"}} {
		if part.n > 0 {
			parts = append(parts, s.color(s.ErrTTY, red, count(part.n)+" "+part.what))
		}
	}
	if open := sum.Rows - sum.Done(); open > 0 {
		parts = append(parts, s.color(s.ErrTTY, yellow, count(open)+" open"))
	}
	line("%s: %s", questions(sum.Rows), strings.Join(parts, ", "))
	if text := origins(sum); text != "" {
		line("  %s", text)
	}
	for _, f := range sum.Failures {
		line("  %s", failureLine(f))
		if f.Hint != "" {
			line("    %s", s.hint(f.Hint))
		}
	}
	if sum.Tokens > 0 {
		text := "  " + count(int(sum.Tokens)) + " tokens"
		if sum.TokensIn+sum.TokensOut == sum.Tokens { // a table has only their sum
			text += fmt.Sprintf(" (%s in, %s out)", count(int(sum.TokensIn)), count(int(sum.TokensOut)))
		}
		line("%s", text)
	}
	if sum.Doubtful > 0 {
		line("  %s may have been asked, and billed, twice (possible_duplicate)", questions(sum.Doubtful))
	}
	if sum.Asked > 0 {
		took := "  took " + rounded(sum.Elapsed)
		if sum.Mean > 0 {
			took += fmt.Sprintf("; a question %s on average, %s at the 95th percentile", rounded(sum.Mean), rounded(sum.P95))
		}
		line("%s", took)
	}
	switch {
	case sum.Journal != "":
		line("  so far in %s", sum.Journal)
	case sum.Output != "" && !sum.AlreadyComplete:
		line("  written to %s", sum.Output)
	}
	_, err := fmt.Fprint(s.Err, b.String())
	return err
}

// failureLine is one kind of failure with its example, where there is one.
func failureLine(f progress.FailureCount) string {
	kind := f.Class
	if f.Code != 0 {
		kind = fmt.Sprintf("%d %s", f.Code, f.Class)
	}
	text := fmt.Sprintf("%s x %s", count(f.Count), kind)
	if f.CustomID != "" {
		text += fmt.Sprintf(", as %s: %s", oneLine(f.CustomID), short(f.Message, 200))
	}
	return text
}

// origins says where the records come from, if not all were asked now.
func origins(sum progress.Summary) string {
	cached := sum.Done() - sum.Resumed - sum.Asked // now
	if sum.AlreadyComplete || sum.Resumed == 0 && cached <= 0 {
		return ""
	}
	var parts []string
	if sum.Resumed > 0 {
		parts = append(parts, count(sum.Resumed)+" from before")
	}
	if cached > 0 {
		parts = append(parts, count(cached)+" cached")
	}
	return strings.Join(append(parts, count(sum.Asked)+" now"), ", ")
}

// summaryJSON is a summary for programs; durations are in seconds.
type summaryJSON struct {
	Rows            int           `json:"rows"`
	Answered        int           `json:"answered"`
	Failed          int           `json:"failed"`
	Canceled        int           `json:"canceled"`
	Expired         int           `json:"expired"`
	Resumed         int           `json:"resumed"`
	Asked           int           `json:"asked"`
	Cached          int           `json:"cached,omitempty"`
	Doubtful        int           `json:"possible_duplicates,omitempty"`
	AlreadyComplete bool          `json:"already_complete,omitempty"`
	Failures        []failureJSON `json:"failures,omitempty"`
	Usage           usageJSON     `json:"usage"`
	Elapsed         float64       `json:"elapsed_seconds"`
	Mean            float64       `json:"mean_seconds"`
	P95             float64       `json:"p95_seconds"`
	Output          string        `json:"output"`
	Journal         string        `json:"journal,omitempty"`
	Estimate        *estimateJSON `json:"estimate,omitempty"`
	Cache           *cacheJSON    `json:"cache,omitempty"`
	Stopped         string        `json:"stopped,omitempty"` // why it ended as it did, where that is not well
	Next            string        `json:"next,omitempty"`    // what to do now
}

// cacheJSON is how much is in the cache; with More there is more than that.
type cacheJSON struct {
	Dir     string `json:"dir"`
	Answers int    `json:"answers"`
	Bytes   int64  `json:"bytes"`
	More    bool   `json:"more,omitempty"`
	Error   string `json:"error,omitempty"` // why answers could not be put into it
}

type failureJSON struct {
	Class    string `json:"class"`
	Code     int    `json:"code,omitempty"`
	Count    int    `json:"count"`
	CustomID string `json:"custom_id"`
	Message  string `json:"message,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

func summaryRecord(s progress.Summary) summaryJSON {
	out := summaryJSON{
		Rows: s.Rows, Answered: s.Answered, Failed: s.Failed, Canceled: s.Canceled, Expired: s.Expired,
		Resumed: s.Resumed, Asked: s.Asked, Cached: s.Cached, AlreadyComplete: s.AlreadyComplete, Doubtful: s.Doubtful,
		Usage:   usageJSON{s.Tokens, s.TokensOut, s.TokensIn},
		Elapsed: seconds(s.Elapsed), Mean: seconds(s.Mean), P95: seconds(s.P95),
		Output: s.Output, Journal: s.Journal,
	}
	for _, f := range s.Failures {
		out.Failures = append(out.Failures, failureJSON(f))
	}
	return out
}
