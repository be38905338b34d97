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

// statusLost stands for questions whose record Redis has lost. It is no status of a result.
const statusLost = "lost"

type retryOptions struct {
	streams   *terminal.Streams
	classes   []string
	codes     []int
	statuses  []string
	expiresIn time.Duration
	dryRun    bool
	json      bool
}

func newRetry(s *terminal.Streams) *cobra.Command {
	o := &retryOptions{streams: s}
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
		RunE: o.run,
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.classes, "class", nil, "retry questions that failed with this `CLASS` of error (see 'cozeq errors'); may be repeated")
	f.IntSliceVar(&o.codes, "code", nil, "retry questions that failed with this `CODE` of Coze; may be repeated")
	f.StringSliceVar(&o.statuses, "status", nil, "retry questions with this status; lost: Redis no longer has the record; may be repeated")
	flags.OneOf(f, "status", "failed", "expired", "canceled", "lost")
	flags.Duration(f, &o.expiresIn, "expires-in", 0, "ask nothing later than this from now (default no limit)")
	f.BoolVar(&o.dryRun, "dry-run", false, "count the questions and ask none")
	f.BoolVar(&o.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *retryOptions) check(cmd *cobra.Command) error {
	for _, class := range o.classes {
		if _, err := coze.ParseClass(class); err != nil {
			return misuse.Errorf(cmd, "--class %w", err)
		}
	}
	for _, code := range o.codes {
		if code < 1 {
			return misuse.Errorf(cmd, "--code %d, want a whole number above 0, as 4013", code)
		}
	}
	known := []string{string(results.Failed), string(results.Expired), string(results.Canceled), statusLost}
	for _, status := range o.statuses {
		if !slices.Contains(known, status) {
			return misuse.Errorf(cmd, "--status %q, want one of %s", status, strings.Join(known, ", "))
		}
	}
	if o.expiresIn < 0 {
		return misuse.Errorf(cmd, "--expires-in %v, want more than 0", o.expiresIn)
	}
	return nil
}

func (o *retryOptions) run(cmd *cobra.Command, args []string) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	f, err := open(cmd, o.streams, args[0])
	if err != nil {
		return err
	}
	defer f.session.Close()
	n, err := o.retry(cmd.Context(), f)
	if n > 0 || err == nil {
		o.say(f.batch, n)
	}
	if err != nil {
		return o.explain(f.batch, err)
	}
	if o.json {
		return terminal.WriteJSON(o.streams.Out, retryJSON{f.batch.ID, n, o.dryRun})
	}
	t := &terminal.Table{Header: []string{"ID", "ASKED AGAIN"}}
	t.Add(f.batch.ID, o.streams.Number(n))
	return t.Write(o.streams)
}

type retryJSON struct {
	ID     string `json:"id"`
	Count  int    `json:"asked_again"`
	DryRun bool   `json:"dry_run,omitempty"`
}

func (o *retryOptions) retry(ctx context.Context, f *target) (int, error) {
	which := batches.RetryOptions{Want: o.want, Lost: o.lost()}
	if o.dryRun {
		return f.all.Retryable(ctx, f.batch.ID, which)
	}
	if o.expiresIn > 0 {
		which.ExpiresAt = time.Now().Add(o.expiresIn)
	}
	line := terminal.NewProgressLine(o.streams, "looked at")
	defer line.End()
	which.Progress = line.Progress
	return f.all.Retry(ctx, f.batch.ID, which)
}

func (o *retryOptions) lost() bool { return o.all() || slices.Contains(o.statuses, statusLost) }

func (o *retryOptions) all() bool { return len(o.classes)+len(o.codes)+len(o.statuses) == 0 }

// want selects the questions. Without a record, r has nothing but a status.
func (o *retryOptions) want(_ int, r *results.Result) bool {
	if r.CreatedAt.IsZero() && o.lost() {
		return true
	}
	if o.all() {
		return r.Status == results.Failed || r.Status == results.Expired
	}
	if slices.Contains(o.statuses, string(r.Status)) {
		return true
	}
	return r.Status == results.Failed && r.Error != nil &&
		(slices.Contains(o.classes, r.Error.Class) || slices.Contains(o.codes, r.Error.Code))
}

func (o *retryOptions) say(b *batches.Status, n int) {
	text := terminal.Questions(n) + " asked again"
	switch {
	case o.dryRun:
		text = terminal.Questions(n) + " would be asked again"
	case n > 0:
		text += fmt.Sprintf("; 'cozeq batch watch %s' shows its progress", b.ID)
	}
	fmt.Fprintln(o.streams.Err, "cozeq: "+text)
}

func (o *retryOptions) explain(b *batches.Status, err error) error {
	missing, isMissing := errors.AsType[*batches.MissingRowsError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return &exitcode.InterruptedError{Again: "run the same command again to resume: nothing is asked twice"}
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
