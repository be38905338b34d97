package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/command"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/sink"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks/batches"
)

type resultsOptions struct {
	streams  *terminal.Streams
	output   string
	onResult string
	command  command.Command // of onResult
	partial  bool
	force    bool
}

func newResults(s *terminal.Streams) *cobra.Command {
	o := &resultsOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "results ID [-o FILE]",
		Short: "Write the answers of a batch, in the order of its file",
		Long: `Writes one record per question of a batch, in the order of its file: to FILE in
the format of its extension, as 'cozeq run' does, or without -o to stdout as
JSON lines. FILE exists only when it is complete.

A batch that has not ended is refused; with --partial it is written anyway, and
open questions have their current status. If Redis has lost a question's record
(it expired or was evicted), the output says so.

The exit code is 3 if some questions were not answered.`,
		Example: `  cozeq batch results 7xw2kqnh4d -o answers.xlsx
  cozeq batch results 7xw2kqnh4d | jq -r .answer`,
		Args: misuse.CheckArgs(1, 1, "ID"),
		RunE: o.run,
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write to `FILE`: .jsonl, .json, .csv, .tsv, .xlsx or .parquet; the first four also with .gz")
	f.StringVar(&o.onResult, "on-result", "", "hand each record to this `COMMAND`, as 'cozeq run' does; the same command again sends all again")
	f.BoolVar(&o.partial, "partial", false, "write a batch that has not ended, too")
	f.BoolVar(&o.force, "force", false, "replace FILE if it exists")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *resultsOptions) run(cmd *cobra.Command, args []string) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	f, err := open(cmd, o.streams, args[0])
	if err != nil {
		return err
	}
	defer f.session.Close()
	if err := o.ready(f.batch); err != nil {
		return err
	}
	line := terminal.NewProgressLine(o.streams, "written")
	summary, err := o.write(cmd.Context(), f.detached(), line)
	line.End()
	if err != nil {
		return o.explain(f.batch, err)
	}
	return o.conclude(f.batch, summary)
}

// progressWriter shows how far the work is, and prints lines above that.
type progressWriter interface {
	io.Writer
	Progress(done, total int)
}

func (o *resultsOptions) write(ctx context.Context, d *batchfile.Detached, line progressWriter) (progress.Summary, error) {
	if !o.command.Set() {
		return d.Write(ctx, o.output, o.streams.Out, line.Progress)
	}
	s := sink.New(ctx, sink.Config{Command: o.command, Stderr: line, Acknowledged: func(int) error { return nil }})
	defer s.Abort()
	summary, err := d.Write(ctx, "", s.Lines(ctx), line.Progress)
	if err == nil {
		err = s.Close()
	}
	return summary, err
}

func (o *resultsOptions) check(cmd *cobra.Command) (err error) {
	if o.onResult != "" {
		if o.command, err = command.Parse(o.onResult); err != nil {
			return misuse.Errorf(cmd, "--on-result: %w", err)
		}
	}
	switch {
	case o.onResult != "" && o.output != "":
		return misuse.Errorf(cmd, "-o and --on-result: choose one")
	case o.output == "" && o.force:
		return misuse.Errorf(cmd, "--force needs -o: it replaces that file")
	case o.output == "":
		return nil
	}
	if err := output.Check(o.output); err != nil {
		return misuse.Errorf(cmd, "%w", err)
	}
	switch _, err := os.Stat(o.output); {
	case err == nil && !o.force:
		return misuse.Errorf(cmd, "%s exists: write to another file, or replace it with --force", o.output)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	return nil
}

func (o *resultsOptions) ready(b *batches.Status) error {
	if b.Kind == batches.KindRun {
		return answersElsewhere(b)
	}
	open := b.Counts.Open()
	if o.partial || open == 0 {
		return nil
	}
	e := &exitcode.HintedError{
		Err:  fmt.Errorf("batch %s has not ended: %s of %s open", b.ID, terminal.Count(open), terminal.Questions(b.Counts.Total)),
		Hint: fmt.Sprintf("wait with 'cozeq batch watch %s', or take the answers so far with --partial", b.ID),
	}
	if unfinishedSubmit(b) {
		e.Hint = "its submit was interrupted: run the same 'cozeq batch submit' again; or take the answers so far with --partial"
	}
	return e
}

func answersElsewhere(b *batches.Status) error {
	e := &exitcode.HintedError{Err: fmt.Errorf("batch %s is a run of %s: its answers are not in Redis", b.ID, terminal.OneLine(b.Name))}
	switch where := b.Output; {
	case where == "":
		e.Hint = "the run has written them to its stdout"
	case b.Counts.Open() > 0:
		e.Hint = fmt.Sprintf("the run on %s writes them to %s; until it ends, the answers so far are in %s.partial", b.Host, where, where)
	default:
		e.Hint = fmt.Sprintf("the run on %s has written them to %s", b.Host, where)
	}
	return e
}

func (o *resultsOptions) conclude(b *batches.Status, sum progress.Summary) error {
	if err := panel.PrintSummary(o.streams, sum); err != nil {
		return err
	}
	ended := sum.Rows
	if o.partial {
		ended = sum.Done()
	}
	if n := ended - sum.Answered; n > 0 {
		return &exitcode.SomeFailedError{
			Text: fmt.Sprintf("%s of %s got no answer", terminal.Count(n), terminal.Questions(sum.Rows)),
			Hint: retryHint(b),
		}
	}
	return nil
}

// retryHint says how to ask the unanswered questions again.
func retryHint(b *batches.Status) string {
	if b.Kind == batches.KindRun {
		return "ask them again by the same 'cozeq run' with --retry-failed"
	}
	text := fmt.Sprintf("ask them again with 'cozeq batch retry %s", b.ID)
	if b.Counts.Canceled > 0 {
		return text + " --status failed,expired,canceled'"
	}
	return text + "'"
}

func (o *resultsOptions) explain(b *batches.Status, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return &exitcode.InterruptedError{Again: "run the same command again"}
	case errors.Is(err, batches.ErrNotFound):
		return &exitcode.HintedError{Err: fmt.Errorf("batch %s: %w", b.ID, err), Hint: "it has just expired: batches are kept for 7 days after their end, unless --keep said otherwise"}
	}
	return err
}
