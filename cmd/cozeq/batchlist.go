package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/tasks"
)

type batchListCommand struct {
	streams *streams
	json    bool
}

func newBatchListCmd(s *streams) *cobra.Command {
	c := &batchListCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List batches, newest first",
		Long: `Lists the batches of a shared Redis, newest first: submitted ones, and runs with
--redis. In a pipe, ages are in seconds.`,
		Example: `  cozeq batch list
  cozeq batch list --json | jq -r '.[] | select(.state == "open") | .id'`,
		Args: wants(0, 0, ""),
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	addSettings(cmd, settingRedis, settingLog)
	return cmd
}

func (c *batchListCommand) run(cmd *cobra.Command, _ []string) error {
	s, err := sharedOf(cmd, c.streams)
	if err != nil {
		return err
	}
	defer s.close()
	all, err := s.batches().List(cmd.Context())
	if err != nil {
		return err
	}
	if c.json {
		records := make([]batchJSON, len(all))
		for i, b := range all {
			records[i] = batchRecord(b)
		}
		return writeJSON(c.streams.Out, records)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.streams.Err, "cozeq: there is no batch in this redis; 'cozeq batch submit FILE' makes one")
		return nil
	}
	t := &table{
		header: []string{"ID", "STATE", "DONE", "OF", "FAILED", "AGE", "KIND", "QUEUE", "NAME"},
		paint: func(column int, cell string) paint {
			switch {
			case column == 1 && (cell == batchOpen || cell == batchSubmitting):
				return yellow
			case column == 4 && cell != "0":
				return red
			}
			return ""
		},
	}
	for _, b := range all {
		t.add(b.ID, stateOf(b), c.streams.number(b.Counts.Total-b.Counts.Open()), c.streams.number(b.Counts.Total), c.streams.number(unanswered(b)),
			c.streams.age(time.Since(b.CreatedAt)), kindOf(b), b.Queue, b.Name)
	}
	return t.write(c.streams)
}

// unanswered are the questions that have ended without an answer.
func unanswered(b *tasks.Batch) int {
	return b.Counts.Failed + b.Counts.Canceled + b.Counts.Expired
}
