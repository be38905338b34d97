package run

import (
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
)

// runEnd is all that a run says at its end.
type runEnd struct {
	progress.Summary
	bounds   runBounds
	pace     pace // for an estimate
	cache    *answercache.Size
	cacheErr error
	err      error // what follows; nil: it went well
}

// print says it to people, on stderr. How it ended and what to do follows with the
// error.
func (c *runEnd) print(s *terminal.Streams) error {
	if err := panel.PrintSummary(s, c.Summary); err != nil {
		return err
	}
	var b strings.Builder
	if size := c.cache; size != nil {
		least := ""
		if size.More {
			least = "at least "
		}
		fmt.Fprintf(&b, "  cache: %s%s answers, %s in %s\n", least, terminal.Count(size.Answers), terminal.Bytes(uint64(size.Bytes)), size.Dir)
	}
	if c.cacheErr != nil {
		fmt.Fprintf(&b, "  answers could not be kept: %v\n", c.cacheErr)
	}
	if c.Estimate != nil {
		printEstimate(&b, c.Estimate, c.pace, c.bounds)
		if c.err == nil && c.Journal != "" {
			b.WriteString("  the same command without --estimate asks the rest: what is answered is not asked again\n")
		}
	}
	_, err := fmt.Fprint(s.Err, b.String())
	return err
}

// record is it for programs.
func (c *runEnd) record() summaryJSON {
	r := summaryRecord(c.Summary)
	r.Estimate = estimateRecord(c.Estimate, c.pace)
	if size := c.cache; size != nil {
		r.Cache = &cacheJSON{Dir: size.Dir, Answers: size.Answers, Bytes: size.Bytes, More: size.More}
		if c.cacheErr != nil {
			r.Cache.Error = c.cacheErr.Error()
		}
	}
	if c.err != nil {
		r.Stopped = c.err.Error()
		_, r.Next = exitcode.Of(c.err)
	}
	return r
}

// draining is said at the first signal, as after a second one there is no time for it.
func (c *runCommand) draining() string {
	text := fmt.Sprintf("interrupted; chats in flight may end, for up to %v: interrupt again to stop at once", c.drain)
	if c.output != "" {
		text += "; the same command goes on after either"
	}
	return text
}

// summaryJSON is a summary for programs; durations are in seconds.
type summaryJSON struct {
	Rows            int                 `json:"rows"`
	Answered        int                 `json:"answered"`
	Failed          int                 `json:"failed"`
	Canceled        int                 `json:"canceled"`
	Expired         int                 `json:"expired"`
	Resumed         int                 `json:"resumed"`
	Asked           int                 `json:"asked"`
	Cached          int                 `json:"cached,omitempty"`
	Doubtful        int                 `json:"possible_duplicates,omitempty"`
	AlreadyComplete bool                `json:"already_complete,omitempty"`
	Failures        []panel.FailureJSON `json:"failures,omitempty"`
	Usage           panel.Usage         `json:"usage"`
	Elapsed         float64             `json:"elapsed_seconds"`
	Mean            float64             `json:"mean_seconds"`
	P95             float64             `json:"p95_seconds"`
	Output          string              `json:"output"`
	Journal         string              `json:"journal,omitempty"`
	Estimate        *estimateJSON       `json:"estimate,omitempty"`
	Cache           *cacheJSON          `json:"cache,omitempty"`
	Stopped         string              `json:"stopped,omitempty"` // why it ended as it did, where that is not well
	Next            string              `json:"next,omitempty"`    // what to do now
}

// cacheJSON is how much is in the cache; with More there is more than that.
type cacheJSON struct {
	Dir     string `json:"dir"`
	Answers int    `json:"answers"`
	Bytes   int64  `json:"bytes"`
	More    bool   `json:"more,omitempty"`
	Error   string `json:"error,omitempty"` // why answers could not be put into it
}

func summaryRecord(s progress.Summary) summaryJSON {
	out := summaryJSON{
		Rows: s.Rows, Answered: s.Answered, Failed: s.Failed, Canceled: s.Canceled, Expired: s.Expired,
		Resumed: s.Resumed, Asked: s.Asked, Cached: s.Cached, AlreadyComplete: s.AlreadyComplete, Doubtful: s.Doubtful,
		Usage:   panel.Usage{TokenCount: s.Tokens, OutputCount: s.TokensOut, InputCount: s.TokensIn},
		Elapsed: terminal.Seconds(s.Elapsed), Mean: terminal.Seconds(s.Mean), P95: terminal.Seconds(s.P95),
		Output: s.Output, Journal: s.Journal,
	}
	for _, f := range s.Failures {
		out.Failures = append(out.Failures, panel.FailureJSON(f))
	}
	return out
}
