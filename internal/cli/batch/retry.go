package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// statusLost stands for the questions whose record has gone from Redis. It is no
// status of a result.
const statusLost = "lost"

type batchRetryCommand struct {
	streams   *terminal.Streams
	classes   []string
	codes     []int
	statuses  []string
	expiresIn time.Duration
	dryRun    bool
	json      bool
}

func newBatchRetryCmd(s *terminal.Streams) *cobra.Command {
	c := &batchRetryCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "retry ID",
		Short: "Ask unanswered questions of a batch again",
		Long: `Asks questions of a batch again that got no answer, as new questions: those that
match any of --class, --code and --status. Without these, all that failed or
expired, and all whose record Redis has lost.

Prints the id and the number of questions that are asked again. Repeating the
command asks nothing twice, because questions under way have not failed.`,
		Example: `  cozeq batch retry 7xw2kqnh4d
  cozeq batch retry 7xw2kqnh4d --class transient,timeout --dry-run
  cozeq batch retry 7xw2kqnh4d --code 4013 --code 4028
  cozeq batch retry 7xw2kqnh4d --status canceled`,
		Args: misuse.CheckArgs(1, 1, "ID"),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringSliceVar(&c.classes, "class", nil, "retry questions that failed with this `CLASS` of error (see 'cozeq errors'); may be repeated")
	f.IntSliceVar(&c.codes, "code", nil, "retry questions that failed with this `CODE` of Coze; may be repeated")
	f.StringSliceVar(&c.statuses, "status", nil, "retry questions with this status; lost: Redis no longer has the record; may be repeated")
	flags.OneOf(f, "status", "failed", "expired", "canceled", "lost")
	flags.Duration(f, &c.expiresIn, "expires-in", 0, "ask nothing later than this from now (default no limit)")
	f.BoolVar(&c.dryRun, "dry-run", false, "count the questions and ask none")
	f.BoolVar(&c.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (c *batchRetryCommand) check(cmd *cobra.Command) error {
	for _, class := range c.classes {
		if !slices.Contains(coze.Classes(), coze.Class(class)) {
			return misuse.Errorf(cmd, "--class %q, want one of %s", class, strings.Trim(fmt.Sprint(coze.Classes()), "[]"))
		}
	}
	for _, code := range c.codes {
		if code < 1 {
			return misuse.Errorf(cmd, "--code %d, want a whole number above 0, as 4013", code)
		}
	}
	known := []string{string(results.Failed), string(results.Expired), string(results.Canceled), statusLost}
	for _, status := range c.statuses {
		if !slices.Contains(known, status) {
			return misuse.Errorf(cmd, "--status %q, want one of %s", status, strings.Join(known, ", "))
		}
	}
	if c.expiresIn < 0 {
		return misuse.Errorf(cmd, "--expires-in %v, want more than 0", c.expiresIn)
	}
	return nil
}

func (c *batchRetryCommand) run(cmd *cobra.Command, args []string) error {
	if err := c.check(cmd); err != nil {
		return err
	}
	f, err := openBatch(cmd, c.streams, args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := c.retry(cmd.Context(), f)
	if n > 0 || err == nil {
		c.say(f.Status, n)
	}
	if err != nil {
		return c.explain(f.Status, err)
	}
	if c.json {
		return terminal.WriteJSON(c.streams.Out, retriedJSON{f.ID, n, c.dryRun})
	}
	t := &terminal.Table{Header: []string{"ID", "ASKED AGAIN"}}
	t.Add(f.ID, c.streams.Number(n))
	return t.Write(c.streams)
}

// retriedJSON is what was asked again, for programs.
type retriedJSON struct {
	ID     string `json:"id"`
	Count  int    `json:"asked_again"`
	DryRun bool   `json:"dry_run,omitempty"`
}

func (c *batchRetryCommand) retry(ctx context.Context, f *foundBatch) (int, error) {
	o := batches.RetryOptions{Want: c.want, Lost: c.lost()}
	if c.dryRun {
		return f.all.Retryable(ctx, f.ID, o)
	}
	if c.expiresIn > 0 {
		o.ExpiresAt = time.Now().Add(c.expiresIn)
	}
	line := terminal.NewProgressLine(c.streams, "looked at")
	defer line.End()
	o.Progress = line.Progress
	return f.all.Retry(ctx, f.ID, o)
}

// lost tells whether questions count whose record has gone.
func (c *batchRetryCommand) lost() bool { return c.all() || slices.Contains(c.statuses, statusLost) }

// all is true where nothing says which.
func (c *batchRetryCommand) all() bool { return len(c.classes)+len(c.codes)+len(c.statuses) == 0 }

// want picks what is asked again. r holds nothing but its status where its record has
// gone.
func (c *batchRetryCommand) want(_ int, r *results.Result) bool {
	if r.CreatedAt.IsZero() && c.lost() {
		return true
	}
	if c.all() {
		return r.Status == results.Failed || r.Status == results.Expired
	}
	if slices.Contains(c.statuses, string(r.Status)) {
		return true
	}
	return r.Status == results.Failed && r.Error != nil &&
		(slices.Contains(c.classes, r.Error.Class) || slices.Contains(c.codes, r.Error.Code))
}

func (c *batchRetryCommand) say(b *batches.Status, n int) {
	text := terminal.Questions(n) + " asked again"
	switch {
	case c.dryRun:
		text = terminal.Questions(n) + " would be asked again"
	case n > 0:
		text += fmt.Sprintf("; 'cozeq batch watch %s' shows how it goes on", b.ID)
	}
	fmt.Fprintln(c.streams.Err, "cozeq: "+text)
}

func (c *batchRetryCommand) explain(b *batches.Status, err error) error {
	missing, isMissing := errors.AsType[*batches.MissingRowsError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return &exitcode.InterruptedError{Again: "run the same command again to go on: nothing is asked twice"}
	case errors.Is(err, batches.ErrIsRun):
		return &exitcode.HintedError{
			Err:  fmt.Errorf("batch %s is a run of %s: its questions are not in Redis", b.ID, terminal.OneLine(b.Name)),
			Hint: "give the same 'cozeq run' again, with --retry-failed",
		}
	case isMissing:
		return &exitcode.HintedError{Err: missing, Hint: "Redis has evicted them; make another batch of the file with 'cozeq batch submit --again'"}
	}
	return err
}
