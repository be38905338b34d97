package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks/batches"
)

type watchOptions struct {
	streams    *terminal.Streams
	exitStatus bool
	json       bool
	patience   time.Duration
}

func newWatch(s *terminal.Streams) *cobra.Command {
	o := &watchOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a batch until it ends",
		Long: `Shows the progress of a batch until it ends, and then its outcome: in a panel on
a terminal, as a line every 10 s in a pipe. A signal stops watching; the batch
continues.

With --exit-status, the exit code is the batch's: 0 if all questions were
answered, 3 if not. If pauses block every open question for longer than
--patience, the exit code is 4, and the batch continues when the pauses end.
Without --exit-status it waits as long as the batch takes, and exits with 0.`,
		Example: `  cozeq batch watch 7xw2kqnh4d
  cozeq batch watch "$id" --exit-status &&
    cozeq batch results "$id" -o answers.csv`,
		Args: misuse.CheckArgs(1, 1, "ID"),
		RunE: o.run,
	}
	f := cmd.Flags()
	f.BoolVar(&o.exitStatus, "exit-status", false, "exit with the code that 'cozeq run' would give for these questions")
	f.BoolVar(&o.json, "json", false, "print the ended batch as JSON; in a pipe, progress as JSON lines on stderr")
	pausewatch.AddFlag(cmd, &o.patience, "with --exit-status as in cozeq run, else no end")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *watchOptions) run(cmd *cobra.Command, args []string) error {
	patience, err := pausewatch.TimeoutsOf(cmd, o.patience, pausewatch.Timeouts{Quota: pausewatch.QuotaTimeout, Outage: pausewatch.OutageTimeout})
	if err != nil {
		return err
	}
	if cmd.Flags().Changed(pausewatch.Flag) && !o.exitStatus {
		return misuse.Errorf(cmd, "--patience needs --exit-status: without it the batch is waited for, however long")
	}
	f, err := open(cmd, o.streams, args[0])
	if err != nil {
		return err
	}
	defer f.session.Close()
	f.batch, err = o.follow(cmd.Context(), f, patience)
	if err != nil {
		return o.explain(f.batch, err)
	}
	return o.conclude(cmd.Context(), f)
}

func (o *watchOptions) follow(signals context.Context, f *target, patience pausewatch.Timeouts) (*batches.Status, error) {
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	var mu sync.Mutex
	var pace batchfile.Pace
	seen := pace.Snapshot(f.batch)
	panel := panel.New(o.streams)
	watch := pausewatch.New(f.session, f.batch.Queue, patience, cancel)
	watch.OpenRows, watch.Settle, watch.Say = f.flights(ctx), pausewatch.FeedTime, panel
	watch.Again = fmt.Sprintf("'cozeq batch watch %s' watches it again; the batch continues once Coze answers again", f.batch.ID)
	watch.Done = func() int {
		mu.Lock()
		defer mu.Unlock()
		return seen.Done
	}
	if !o.exitStatus {
		watch.Patience = pausewatch.Timeouts{Quota: pausewatch.Forever, Outage: pausewatch.Forever, Other: pausewatch.Forever}
	}
	panel.Note, panel.Limits, panel.JSON = watch.Note, watch.Limits, o.json
	panel.Title = "batch " + f.batch.ID + ", " + f.batch.Name
	if f.batch.Counts.Open() > 0 {
		defer session.WatchServed(ctx, func() error { return f.session.Served(f.batch.Queue) }, func(err error) {
			fmt.Fprintf(panel, "cozeq: %v: waiting for one\n", err)
		})()
		defer watch.Start(ctx)()
		defer panel.Follow(func() progress.Snapshot {
			mu.Lock()
			defer mu.Unlock()
			return seen
		})()
	}
	return f.detached().Follow(ctx, batchfile.Watcher{
		Show: func(b *batches.Status) {
			mu.Lock()
			defer mu.Unlock()
			seen = pace.Snapshot(b)
		},
		Repaired: func(m batches.Repaired) {
			fmt.Fprintf(panel, "cozeq: nothing moved: %s that Redis had lost put back, %s that had ended counted\n", terminal.Questions(m.Enqueued), terminal.Count(m.Marked))
		},
		Stalled: func(b *batches.Status) {
			if unfinishedSubmit(b) && b.Kind != batches.KindRun {
				fmt.Fprintf(panel, "cozeq: no progress: %s of %s were submitted; run the same 'cozeq batch submit' to resume\n", terminal.Count(b.Enqueued), terminal.Questions(b.Rows))
			}
		},
	})
}

func (o *watchOptions) conclude(ctx context.Context, f *target) error {
	status, err := f.status(ctx)
	if err != nil {
		return err
	}
	if err := panel.PrintSummary(o.streams, status.summary()); err != nil {
		return err
	}
	if f.batch.Kind == batches.KindRun {
		fmt.Fprintf(o.streams.Err, "  written to %s\n", where(f.batch))
	} else {
		fmt.Fprintf(o.streams.Err, "  'cozeq batch results %s -o FILE' writes the answers\n", f.batch.ID)
	}
	if o.json {
		if err := terminal.WriteJSON(o.streams.Out, status.record()); err != nil {
			return err
		}
	}
	if n := unanswered(f.batch); n > 0 && o.exitStatus {
		return &exitcode.SomeFailedError{
			Text: fmt.Sprintf("%s of %s got no answer", terminal.Count(n), terminal.Questions(f.batch.Counts.Total)),
			Hint: retryHint(f.batch),
		}
	}
	return nil
}

func (o *watchOptions) explain(b *batches.Status, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(o.streams.Err, "cozeq: the batch continues: %s of %s have ended\n", terminal.Count(b.Counts.Total-b.Counts.Open()), terminal.Questions(b.Counts.Total))
		return &exitcode.InterruptedError{Again: fmt.Sprintf("'cozeq batch watch %s' watches it again, 'cozeq batch cancel %s' cancels it", b.ID, b.ID)}
	case errors.Is(err, batches.ErrNotFound):
		return &exitcode.HintedError{Err: fmt.Errorf("batch %s has gone from Redis", b.ID), Hint: "Redis was flushed, or has evicted it (maxmemory-policy noeviction prevents that): submit the file again"}
	}
	return err
}
