package panel

import (
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
)

func PrintSummary(s *terminal.Streams, sum progress.Summary) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if sum.AlreadyComplete {
		line("%s is complete already: %s, nothing was asked; --retry-failed asks the failed ones again, --force starts over",
			sum.Output, terminal.Questions(sum.Rows))
	}
	parts := []string{s.Paint(s.ErrTTY, terminal.Green, terminal.Count(sum.Answered)+" answered")}
	for _, part := range []struct {
		n    int
		what string
	}{{sum.Failed, "failed"}, {sum.Canceled, "canceled"}, {sum.Expired, "expired"}} {
		if part.n > 0 {
			parts = append(parts, s.Paint(s.ErrTTY, terminal.Red, terminal.Count(part.n)+" "+part.what))
		}
	}
	if open := sum.Rows - sum.Done(); open > 0 {
		parts = append(parts, s.Paint(s.ErrTTY, terminal.Yellow, terminal.Count(open)+" open"))
	}
	line("%s: %s", terminal.Questions(sum.Rows), strings.Join(parts, ", "))
	if text := origins(sum); text != "" {
		line("  %s", text)
	}
	for _, f := range sum.Failures {
		line("  %s", FailureLine(f))
		if f.Hint != "" {
			line("    %s", s.Translate(f.Hint))
		}
	}
	if sum.Tokens > 0 {
		text := "  " + terminal.Count(int(sum.Tokens)) + " tokens"
		if sum.TokensIn+sum.TokensOut == sum.Tokens { // a table has only their sum
			text += fmt.Sprintf(" (%s in, %s out)", terminal.Count(int(sum.TokensIn)), terminal.Count(int(sum.TokensOut)))
		}
		line("%s", text)
	}
	if sum.AsksBack > 0 {
		line("  %s to which the bot asks back (asks_back)", terminal.Questions(sum.AsksBack))
	}
	if sum.Doubtful > 0 {
		line("  %s may have been asked, and billed, twice (possible_duplicate)", terminal.Questions(sum.Doubtful))
	}
	if sum.Asked > 0 {
		took := "  took " + terminal.Rounded(sum.Elapsed)
		if sum.Mean > 0 {
			took += fmt.Sprintf("; a question %s on average, %s at the 95th percentile", terminal.Rounded(sum.Mean), terminal.Rounded(sum.P95))
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

func FailureLine(f progress.FailureCount) string {
	kind := f.Class
	if f.Code != 0 {
		kind = fmt.Sprintf("%d %s", f.Code, f.Class)
	}
	text := fmt.Sprintf("%s x %s", terminal.Count(f.Count), kind)
	if f.CustomID != "" {
		text += fmt.Sprintf(", as %s: %s", terminal.OneLine(f.CustomID), terminal.Short(f.Message, 200))
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
		parts = append(parts, terminal.Count(sum.Resumed)+" from before")
	}
	if cached > 0 {
		parts = append(parts, terminal.Count(cached)+" cached")
	}
	return strings.Join(append(parts, terminal.Count(sum.Asked)+" now"), ", ")
}

type FailureJSON struct {
	Class    string `json:"class"`
	Code     int    `json:"code,omitempty"`
	Count    int    `json:"count"`
	CustomID string `json:"custom_id"`
	Message  string `json:"message,omitempty"`
	Hint     string `json:"hint,omitempty"`
}
