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
	"github.com/cozeq/cozeq/tasks"
)

// filter is the flags that say which questions are meant.
type filter struct {
	queue, class string
	code         int
	since        time.Duration
}

func (f *filter) add(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&f.queue, "queue", "", "only those of the queue of this `NAME`")
	set.StringVar(&f.class, "class", "", "only failures of this `CLASS` of error (see 'cozeq errors')")
	set.IntVar(&f.code, "code", 0, "only failures with this `CODE` of Coze")
	flags.Duration(set, &f.since, "since", 0, "only those that failed within this time")
}

func (f *filter) given() bool { return *f != filter{} }

func (f *filter) of(cmd *cobra.Command) (deadletter.Filter, error) {
	if f.since < 0 {
		return deadletter.Filter{}, misuse.Errorf(cmd, "--since %v, want more than 0", f.since)
	}
	if f.class != "" {
		if err := settings.CheckClass(f.class); err != nil {
			return deadletter.Filter{}, misuse.Errorf(cmd, "--class %w", err)
		}
	}
	if f.queue != "" {
		if err := tasks.ValidateQueue(f.queue); err != nil {
			return deadletter.Filter{}, misuse.Errorf(cmd, "--queue: %w", err)
		}
	}
	d := deadletter.Filter{Queue: f.queue, Class: f.class, Code: f.code}
	if f.since > 0 {
		d.Since = time.Now().Add(-f.since)
	}
	return d, nil
}

// New is the command failed.
func New(s *terminal.Streams) *cobra.Command {
	var f filter
	var json bool
	cmd := &cobra.Command{
		Use:   "failed",
		Short: "List failed questions, ask them again or delete them",
		Long: `Lists the failed questions of a shared Redis (asynq's archive), the last one
first: at most 10,000 of a queue, for 90 days. 'cozeq result ID' shows one.
Rows of a batch are not among them: see 'cozeq batch retry'.`,
		Example: `  cozeq failed --redis redis://localhost:6379/0
  cozeq failed --class transient --since 1h --json
  cozeq failed run --code 5000
  cozeq failed delete --since 7d`,
		Args: func(cmd *cobra.Command, args []string) error { return misuse.UnknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, s, &f, func(ctx context.Context, box *deadletter.Box, d deadletter.Filter) error {
				all, err := box.List(ctx, d)
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
	f.add(cmd)
	cmd.Flags().BoolVar(&json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	cmd.AddCommand(newChange(s, "run", "Ask failed questions again", `Asks failed questions again, each once, under its id: those of the given IDs, or
those that the flags choose. One that somebody else has run meanwhile is left
alone.

Prints the id of each.`, "asked again", (*deadletter.Box).Run),
		newChange(s, "delete", "Delete failed questions", `Deletes failed questions from asynq's archive: those of the given IDs, or those
that the flags choose. Their results stay for as long as they are kept.

Prints the id of each.`, "deleted", (*deadletter.Box).Delete))
	return cmd
}

// with opens the Redis and hands its failed questions on.
func with(cmd *cobra.Command, s *terminal.Streams, f *filter, do func(context.Context, *deadletter.Box, deadletter.Filter) error) error {
	d, err := f.of(cmd)
	if err != nil {
		return err
	}
	session, err := session.OpenFor(cmd, s)
	if err != nil {
		return err
	}
	defer session.Close()
	return do(cmd.Context(), deadletter.New(session.Results), d)
}

// show writes a line for each.
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
