package batch

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks/batches"
)

type batchCancelCommand struct {
	streams *terminal.Streams
	json    bool
}

func newBatchCancelCmd(s *terminal.Streams) *cobra.Command {
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
		Args:    misuse.CheckArgs(1, 1, "ID"),
		RunE:    c.run,
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print the batch as JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (c *batchCancelCommand) run(cmd *cobra.Command, args []string) error {
	f, err := openBatch(cmd, c.streams, args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	ctx := cmd.Context()
	before := f.Counts
	if before.Open() > 0 {
		line := terminal.NewProgressLine(c.streams, "canceling")
		err = f.all.Cancel(ctx, f.ID, line.Progress)
		line.End()
		if errors.Is(err, context.Canceled) {
			return &exitcode.InterruptedError{Again: "run the same command again to go on"}
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
		return terminal.WriteJSON(c.streams.Out, batchRecord(b))
	}
	t := &terminal.Table{Header: []string{"ID", "STATE"}}
	t.Add(b.ID, stateOf(b))
	return t.Write(c.streams)
}

// say tells what there was to do. Workers end questions meanwhile, so the numbers are
// of the moment.
func (c *batchCancelCommand) say(b *batches.Status, before batches.Counts) {
	if before.Open() == 0 {
		fmt.Fprintf(c.streams.Err, "cozeq: nothing to cancel: all %s had ended\n", terminal.Questions(before.Total))
		return
	}
	text := fmt.Sprintf("cozeq: %s canceled", terminal.Questions(b.Counts.Canceled-before.Canceled))
	if open := b.Counts.Open(); open > 0 {
		text += fmt.Sprintf(", %s being ended by their workers", terminal.Count(open))
	}
	if before.Completed > 0 {
		text += fmt.Sprintf("; %s answered before", terminal.Count(before.Completed))
	}
	fmt.Fprintln(c.streams.Err, text)
}
