package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/tasks"
)

type batchWatchCommand struct {
	streams    *streams
	exitStatus bool
	json       bool
	patience   time.Duration
}

func newBatchWatchCmd(s *streams) *cobra.Command {
	c := &batchWatchCommand{streams: s}
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
		Args: wants(1, 1, "ID"),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.BoolVar(&c.exitStatus, "exit-status", false, "exit with the code that 'cozeq run' would give for these questions")
	f.BoolVar(&c.json, "json", false, "print the ended batch as JSON; in a pipe, progress as JSON lines on stderr")
	addPatience(cmd, &c.patience, "with --exit-status as in cozeq run, else no end")
	addSettings(cmd, settingRedis, settingLog)
	return cmd
}

func (c *batchWatchCommand) run(cmd *cobra.Command, args []string) error {
	patience, err := patienceOf(cmd, c.patience, patiences{quota: quotaPatience, way: wayPatience})
	if err != nil {
		return err
	}
	if cmd.Flags().Changed(patienceFlag) && !c.exitStatus {
		return usagef(cmd, "--patience needs --exit-status: without it the batch is waited for, however long")
	}
	f, err := openBatch(cmd, c.streams, args[0])
	if err != nil {
		return err
	}
	defer f.close()
	f.Batch, err = c.follow(cmd.Context(), f, patience)
	if err != nil {
		return c.explain(f.Batch, err)
	}
	return c.conclude(cmd.Context(), f)
}

// follow shows the batch until it has ended.
func (c *batchWatchCommand) follow(signals context.Context, f *foundBatch, patience patiences) (*tasks.Batch, error) {
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	var mu sync.Mutex
	var pace batchfile.Pace
	seen := pace.Snapshot(f.Batch)
	panel := newPanel(c.streams)
	watch := newPauseWatch(f.session, f.Queue, patience, cancel)
	watch.flights, watch.settle, watch.say = f.flights(ctx), feedTime, panel
	watch.again = fmt.Sprintf("'cozeq batch watch %s' goes on watching; the batch itself goes on when a question gets through", f.ID)
	watch.done = func() int {
		mu.Lock()
		defer mu.Unlock()
		return seen.Done
	}
	if !c.exitStatus {
		watch.patience = patiences{forEver, forEver, forEver}
	}
	panel.note, panel.limits, panel.json = watch.note, watch.limits, c.json
	panel.title = "batch " + f.ID + ", " + f.Name
	if f.Counts.Open() > 0 {
		defer watchServed(ctx, func() error { return f.served(f.Queue) }, func(err error) {
			fmt.Fprintf(panel, "cozeq: %v: waiting for one\n", err)
		})()
		defer watch.start(ctx)()
		defer panel.follow(func() progress.Snapshot {
			mu.Lock()
			defer mu.Unlock()
			return seen
		})()
	}
	return f.detached().Follow(ctx, batchfile.Watcher{
		Show: func(b *tasks.Batch) {
			mu.Lock()
			defer mu.Unlock()
			seen = pace.Snapshot(b)
		},
		Mended: func(m tasks.BatchMended) {
			fmt.Fprintf(panel, "cozeq: nothing moved: %s that Redis had lost put back, %s that had ended counted\n", questions(m.Enqueued), count(m.Marked))
		},
		Stalled: func(b *tasks.Batch) {
			if halfWay(b) && b.Kind != tasks.BatchRun {
				fmt.Fprintf(panel, "cozeq: nothing moves: %s of %s were submitted; the same 'cozeq batch submit' goes on with it\n", count(b.Enqueued), questions(b.Rows))
			}
		},
	})
}

// conclude tells what the batch has come to.
func (c *batchWatchCommand) conclude(ctx context.Context, f *foundBatch) error {
	status, err := f.status(ctx)
	if err != nil {
		return err
	}
	if err := printSummary(c.streams, status.summary()); err != nil {
		return err
	}
	if f.Kind == tasks.BatchRun {
		fmt.Fprintf(c.streams.Err, "  written to %s\n", where(f.Batch))
	} else {
		fmt.Fprintf(c.streams.Err, "  'cozeq batch results %s -o FILE' writes the answers\n", f.ID)
	}
	if c.json {
		if err := writeJSON(c.streams.Out, status.record()); err != nil {
			return err
		}
	}
	if n := unanswered(f.Batch); n > 0 && c.exitStatus {
		return &someFailedError{
			text: fmt.Sprintf("%s of %s got no answer", count(n), questions(f.Counts.Total)),
			hint: askBatchAgain(f.Batch),
		}
	}
	return nil
}

func (c *batchWatchCommand) explain(b *tasks.Batch, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(c.streams.Err, "cozeq: the batch goes on: %s of %s have ended\n", count(b.Counts.Total-b.Counts.Open()), questions(b.Counts.Total))
		return &interruptedError{again: fmt.Sprintf("'cozeq batch watch %s' goes on watching, 'cozeq batch cancel %s' ends the batch", b.ID, b.ID)}
	case errors.Is(err, tasks.ErrNoBatch):
		return &hintedError{err: fmt.Errorf("batch %s has gone from Redis", b.ID), hint: "Redis was flushed, or has evicted it (maxmemory-policy noeviction prevents that): submit the file again"}
	}
	return err
}
