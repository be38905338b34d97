package run

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/sink"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// conclude prints the summary, where there is one to speak of, and turns the
// run's end into an error if it was not a good one.
func (o *options) conclude(ctx context.Context, s *session.Session, p setup, cache *answercache.Cache, summary progress.Summary, err error) error {
	end := o.outcome(summary, err)
	if summary.Rows > 0 && (end == nil || err == nil || summary.Done() > 0 || errors.Is(err, context.Canceled)) {
		if printed := o.print(o.end(ctx, s, p, cache, summary, end)); printed != nil && end == nil {
			return printed
		}
	}
	return end
}

// outcome is the run's end as the command reports it.
func (o *options) outcome(summary progress.Summary, err error) error {
	if e, ok := errors.AsType[*filerun.BudgetError](err); ok {
		return reached(e, summary)
	}
	if err != nil && !errors.Is(err, filerun.ErrSampled) {
		return o.explain(err)
	}
	if n := summary.Done() - summary.Answered; n > 0 && err == nil {
		e := &exitcode.SomeFailedError{Text: fmt.Sprintf("%s of %s got no answer", terminal.Count(n), terminal.Questions(summary.Rows))}
		if o.output != "" {
			e.Hint = "ask them again by the same command with --retry-failed"
		}
		return e
	}
	return nil
}

// sizeTime bounds the counting of what is in the cache.
const sizeTime = 3 * time.Second

// end is what there is to say at the end.
func (o *options) end(ctx context.Context, s *session.Session, p setup, cache *answercache.Cache, summary progress.Summary, end error) runEnd {
	all := runEnd{Summary: summary, bounds: o.bounds, err: end}
	if summary.Estimate != nil {
		all.pace = o.pace(ctx, s, p)
	}
	if cache != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sizeTime)
		defer cancel()
		all.cache, all.cacheErr = new(cache.Size(ctx)), cache.Err()
	}
	return all
}

func (o *options) pace(ctx context.Context, s *session.Session, p setup) pace {
	pace := pace{concurrency: p.worker.Concurrency, rate: p.worker.Rate}
	if !p.own {
		// If Redis does not answer, assume this process's concurrency.
		if n, err := s.Concurrency(o.questions.Queue); err == nil && n > 0 {
			pace.concurrency = n
		}
	}
	limits, err := worker.Limits(ctx, s.Redis)
	if err != nil {
		return pace
	}
	for _, l := range limits {
		if l.Served {
			pace.learnt += l.Rate
		}
	}
	return pace
}

func (o *options) print(all runEnd) error {
	if o.json {
		return terminal.WriteJSON(o.streams.Out, all.record())
	}
	return all.print(o.streams)
}

// title names what the panel shows.
func (o *options) title(args []string, in *input.Input) string {
	title := filepath.Base(in.Name())
	if len(args) == 0 {
		title = "demo"
	}
	if o.output != "" {
		title += " → " + filepath.Base(o.output)
	}
	return title
}

// explain adds to an error what a person can do about it.
func (o *options) explain(err error) error {
	edited := errors.Is(err, input.ErrEdited)
	refused, ok := errors.AsType[*coze.Error](err) // an upload: of a question it would be in its record
	_, untaken := errors.AsType[*sink.Error](err)
	switch {
	case untaken:
		return &exitcode.HintedError{Err: err, Hint: "all answers are in the journal: correct the command and run the same again, which sends it what it has not acknowledged"}
	case ok && !errors.As(err, new(*exitcode.StoppedError)):
		return &exitcode.StoppedError{Class: refused.Class, Err: refused, Again: o.again()}
	case errors.Is(err, context.Canceled):
		return &exitcode.InterruptedError{Again: o.again()}
	case edited && o.output != "":
		return &exitcode.HintedError{Err: err, Hint: "restore the file and run the same command again to resume, or start over with --force"}
	case edited:
		return &exitcode.HintedError{Err: err, Hint: o.again()}
	case errors.Is(err, syscall.ENOSPC):
		return &exitcode.HintedError{Err: err, Hint: "make room on the disk, then " + o.again()}
	case errors.Is(err, journal.ErrLocked):
		return &exitcode.HintedError{Err: err, Hint: "wait for the other run to end, or write to another file with -o"}
	}
	return err
}

// again says how to resume a run that was cut short.
func (o *options) again() string {
	if o.output == "" {
		return "run the command again; without -o it starts from the beginning"
	}
	return "run the same command again to resume: answered questions are not asked again"
}

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
			b.WriteString("  the same command without --estimate asks the rest: answered questions are not asked again\n")
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
	AsksBack        int                 `json:"asks_back,omitempty"`
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
		Resumed: s.Resumed, Asked: s.Asked, Cached: s.Cached, AlreadyComplete: s.AlreadyComplete, Doubtful: s.Doubtful, AsksBack: s.AsksBack,
		Usage:   panel.Usage{TokenCount: s.Tokens, OutputCount: s.TokensOut, InputCount: s.TokensIn},
		Elapsed: terminal.Seconds(s.Elapsed), Mean: terminal.Seconds(s.Mean), P95: terminal.Seconds(s.P95),
		Output: s.Output, Journal: s.Journal,
	}
	for _, f := range s.Failures {
		out.Failures = append(out.Failures, panel.FailureJSON(f))
	}
	return out
}
