package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/tasks"
)

type batchCancelCommand struct {
	streams *streams
	json    bool
}

func newBatchCancelCmd(s *streams) *cobra.Command {
	c := &batchCancelCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel the open questions of a batch",
		Long: `Cancels every question of a batch that has not ended. Queued questions are not
asked any more. Running ones are ended by their workers a moment later, also at
Coze. What has ended stays as it is. An interrupted cancel can be repeated.

Prints the id and the state of the batch: canceled, canceling while questions
are still running, or done if it had ended before.`,
		Example: `  cozeq batch cancel 7xw2kqnh4d`,
		Args:    wants(1, 1, "ID"),
		RunE:    c.run,
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print the batch as JSON")
	addSettings(cmd, settingRedis, settingLog)
	return cmd
}

func (c *batchCancelCommand) run(cmd *cobra.Command, args []string) error {
	f, err := openBatch(cmd, c.streams, args[0])
	if err != nil {
		return err
	}
	defer f.close()
	ctx := cmd.Context()
	before := f.Counts
	if before.Open() > 0 {
		line := newProgressLine(c.streams, "canceling")
		err = f.all.Cancel(ctx, f.ID, line.progress)
		line.end()
		if errors.Is(err, context.Canceled) {
			return &interruptedError{again: "run the same command again to go on"}
		}
		if err != nil {
			return err
		}
	}
	b, err := f.all.Get(ctx, f.ID)
	if err != nil {
		return err
	}
	c.say(b, before)
	if c.json {
		return writeJSON(c.streams.Out, batchRecord(b))
	}
	t := &table{header: []string{"ID", "STATE"}}
	t.add(b.ID, stateOf(b))
	return t.write(c.streams)
}

// say tells what there was to do. Workers end questions meanwhile, so the numbers are
// of the moment.
func (c *batchCancelCommand) say(b *tasks.Batch, before tasks.BatchCounts) {
	if before.Open() == 0 {
		fmt.Fprintf(c.streams.Err, "cozeq: nothing to cancel: all %s had ended\n", questions(before.Total))
		return
	}
	text := fmt.Sprintf("cozeq: %s canceled", questions(b.Counts.Canceled-before.Canceled))
	if open := b.Counts.Open(); open > 0 {
		text += fmt.Sprintf(", %s being ended by their workers", count(open))
	}
	if before.Completed > 0 {
		text += fmt.Sprintf("; %s answered before", count(before.Completed))
	}
	fmt.Fprintln(c.streams.Err, text)
}
