// Package failed is the command failed: it lists failed questions, runs them again and deletes them.
package failed

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/deadletter"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
)

func addFlags(cmd *cobra.Command, c *deadletter.Choice) {
	set := cmd.Flags()
	set.StringVar(&c.Queue, "queue", "", "only those of the queue of this `NAME`")
	set.StringVar(&c.Class, "class", "", "only failures of this `CLASS` of error (see 'cozeq errors')")
	set.IntVar(&c.Code, "code", 0, "only failures with this `CODE` of Coze")
	flags.Duration(set, &c.Since.Duration, "since", 0, "only those that failed within this time")
	flags.Duration(set, &c.OlderThan.Duration, "older-than", 0, "only those that failed longer ago than this")
}

func filterOf(cmd *cobra.Command, c deadletter.Choice) (deadletter.Filter, error) {
	f, err := c.Filter(time.Now())
	if err != nil {
		return f, misuse.Errorf(cmd, "--%w", err)
	}
	return f, nil
}

func New(s *terminal.Streams) *cobra.Command {
	var c deadletter.Choice
	var json bool
	cmd := &cobra.Command{
		Use:   "failed",
		Short: "List failed questions, ask them again or delete them",
		Long: `Lists the failed questions of a shared Redis (asynq's archive), the last one
first: at most 10,000 of a queue, for 90 days, runs of workflows included.
'cozeq result ID' shows one while its result is kept (24 h, or --keep). After
that it can be asked again if its question was shorter than 2 KiB.
Rows of a batch are not among them: see 'cozeq batch retry'.`,
		Example: `  cozeq failed --redis redis://localhost:6379/0
  cozeq failed --class transient --since 1h --json
  cozeq failed run --code 5000
  cozeq failed delete --older-than 7d`,
		Args: func(cmd *cobra.Command, args []string) error { return misuse.UnknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, s, c, func(ctx context.Context, box *deadletter.Box, f deadletter.Filter) error {
				all, err := box.List(ctx, f)
				if err != nil {
					return err
				}
				if json {
					return terminal.WriteJSON(s.Out, append([]deadletter.Letter{}, all...))
				}
				return show(s, all)
			})
		},
	}
	addFlags(cmd, &c)
	cmd.Flags().BoolVar(&json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	cmd.AddCommand(newChange(s, change{verb: "run", short: "Ask failed questions again", long: `Asks failed questions again, each once, under its id: those of the given IDs, or
those that the flags choose. One that somebody else has run meanwhile is left
alone.

Prints the id of each.`, done: "asked again", age: "since 1h", do: (*deadletter.Box).Run}),
		newChange(s, change{verb: "delete", short: "Delete failed questions", long: `Deletes failed questions from asynq's archive: those of the given IDs, or those
that the flags choose. --older-than keeps the latest; --since, which would delete
just those, is not taken. Their results stay for as long as they are kept.

Prints the id of each.`, done: "deleted", age: "older-than 7d", do: (*deadletter.Box).Delete}))
	return cmd
}

// with opens the Redis and hands its failed questions on.
func with(cmd *cobra.Command, s *terminal.Streams, c deadletter.Choice, do func(context.Context, *deadletter.Box, deadletter.Filter) error) error {
	f, err := filterOf(cmd, c)
	if err != nil {
		return err
	}
	session, err := session.OpenFor(cmd, s)
	if err != nil {
		return err
	}
	defer session.Close()
	return do(cmd.Context(), deadletter.New(session.Results), f)
}

func show(s *terminal.Streams, all []deadletter.Letter) error {
	t := &terminal.Table{Header: []string{"ID", "QUEUE", "FAILED", "WHY", "MESSAGE"}}
	for _, l := range all {
		why, message := "", l.Message
		if l.Failure != nil {
			kind := results.Failure{Code: l.Failure.Code, Class: l.Failure.Class}
			why, message = kind.Error(), l.Failure.Message
		}
		t.Add(l.ID, l.Queue, s.Moment(l.FailedAt), why, message)
	}
	return t.Write(s)
}
