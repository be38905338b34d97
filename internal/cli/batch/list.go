package batch

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks/batches"
)

type listOptions struct {
	streams *terminal.Streams
	json    bool
}

func newList(s *terminal.Streams) *cobra.Command {
	o := &listOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List batches, newest first",
		Long: `Lists the batches of a shared Redis, newest first: submitted ones, and runs with
--redis. In a pipe, ages are in seconds.`,
		Example: `  cozeq batch list
  cozeq batch list --json | jq -r '.[] | select(.state == "open") | .id'`,
		Args: misuse.CheckArgs(0, 0, ""),
		RunE: o.run,
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *listOptions) run(cmd *cobra.Command, _ []string) error {
	s, err := session.OpenFor(cmd, o.streams)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.Batches().List(cmd.Context())
	if err != nil {
		return err
	}
	if o.json {
		records := make([]recordJSON, len(all))
		for i, b := range all {
			records[i] = newRecord(b)
		}
		return terminal.WriteJSON(o.streams.Out, records)
	}
	if len(all) == 0 {
		fmt.Fprintln(o.streams.Err, "cozeq: there is no batch in this redis; 'cozeq batch submit FILE' makes one")
		return nil
	}
	t := &terminal.Table{
		Header: []string{"ID", "STATE", "DONE", "OF", "FAILED", "AGE", "KIND", "QUEUE", "NAME"},
		Paint: func(column int, cell string) terminal.Paint {
			switch {
			case column == 1 && (cell == batches.StateOpen || cell == batches.StateSubmitting):
				return terminal.Yellow
			case column == 4 && cell != "0":
				return terminal.Red
			}
			return ""
		},
	}
	for _, b := range all {
		t.Add(b.ID, b.State(), o.streams.Number(b.Counts.Total-b.Counts.Open()), o.streams.Number(b.Counts.Total), o.streams.Number(unanswered(b)),
			o.streams.Age(time.Since(b.CreatedAt)), kindOf(b), b.Queue, b.Name)
	}
	return t.Write(o.streams)
}

// unanswered is the number of questions that ended without an answer.
func unanswered(b *batches.Status) int {
	return b.Counts.Failed + b.Counts.Canceled + b.Counts.Expired
}
