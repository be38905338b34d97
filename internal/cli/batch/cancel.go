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

type cancelOptions struct {
	streams *terminal.Streams
	json    bool
}

func newCancel(s *terminal.Streams) *cobra.Command {
	o := &cancelOptions{streams: s}
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
		RunE:    o.run,
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the batch as JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *cancelOptions) run(cmd *cobra.Command, args []string) error {
	f, err := open(cmd, o.streams, args[0])
	if err != nil {
		return err
	}
	defer f.session.Close()
	ctx := cmd.Context()
	before := f.batch.Counts
	if before.Open() > 0 {
		line := terminal.NewProgressLine(o.streams, "canceling")
		err = f.all.Cancel(ctx, f.batch.ID, line.Progress)
		line.End()
		if errors.Is(err, context.Canceled) {
			return &exitcode.InterruptedError{Again: "run the same command again to resume"}
		}
		if err != nil {
			return err
		}
	}
	b, err := f.all.Get(ctx, f.batch.ID)
	if err != nil {
		return err
	}
	o.say(b, before)
	if o.json {
		return terminal.WriteJSON(o.streams.Out, newRecord(b))
	}
	t := &terminal.Table{Header: []string{"ID", "STATE"}}
	t.Add(b.ID, b.State())
	return t.Write(o.streams)
}

// say reports what was canceled. Workers end questions meanwhile, so the numbers are those of a moment.
func (o *cancelOptions) say(b *batches.Status, before batches.Counts) {
	if before.Open() == 0 {
		fmt.Fprintf(o.streams.Err, "cozeq: nothing to cancel: all %s had ended\n", terminal.Questions(before.Total))
		return
	}
	text := fmt.Sprintf("cozeq: %s canceled", terminal.Questions(b.Counts.Canceled-before.Canceled))
	if open := b.Counts.Open(); open > 0 {
		text += fmt.Sprintf(", %s being ended by their workers", terminal.Count(open))
	}
	if before.Completed > 0 {
		text += fmt.Sprintf("; %s answered before", terminal.Count(before.Completed))
	}
	fmt.Fprintln(o.streams.Err, text)
}
