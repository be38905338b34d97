package queues

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/queuestate"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

func newPause(s *terminal.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Pause a queue",
		Long: `Pauses a queue, as asynqmon would: its questions stay in it, and chats in flight
finish. cozeq never ends this pause by itself. A queue that cozeq had paused is
then paused by you.

Prints the name of the queue and "paused".`,
		Example: `  cozeq queues pause low`,
		Args:    misuse.CheckArgs(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withQueue(cmd, s, args[0], func(session *session.Session, name string) (string, error) {
				fresh, err := worker.PauseQueue(cmd.Context(), session.Redis, name)
				if err == nil && !fresh {
					fmt.Fprintf(s.Err, "cozeq: an operator had paused queue %s already\n", name)
				}
				return "paused", err
			})
		},
	}
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func newResume(s *terminal.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume NAME",
		Short: "Resume a queue, or probe at once",
		Long: `Resumes a queue that an operator has paused. If cozeq paused the queue, or a
credential or a bot, the next probe is sent now: one real question. If Coze
accepts it, the rest follows.

Prints the name of the queue and "resumed", or "probing" while cozeq holds the
queue until a probe succeeds.`,
		Example: `  cozeq queues resume low
  cozeq queues resume default   # after replacing the token or raising the quota`,
		Args: misuse.CheckArgs(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withQueue(cmd, s, args[0], func(session *session.Session, name string) (string, error) {
				return resume(cmd, s, session, name)
			})
		},
	}
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

// withQueue does something to a queue and prints its state. A name that Redis does not know is an error, unless every worker
// serves it by default.
func withQueue(cmd *cobra.Command, s *terminal.Streams, name string, do func(*session.Session, string) (string, error)) error {
	if err := tasks.ValidateQueue(name); err != nil {
		return misuse.Errorf(cmd, "%w", err)
	}
	session, err := session.OpenFor(cmd, s)
	if err != nil {
		return err
	}
	defer session.Close()
	known, err := queuestate.Known(asynq.NewInspectorFromRedisClient(session.Redis))
	if err != nil {
		return err
	}
	if _, usual := worker.DefaultQueues()[name]; !usual && !slices.Contains(known, name) {
		e := &exitcode.HintedError{Err: fmt.Errorf("no queue %q in this redis", name)}
		if len(known) > 0 {
			e.Hint = "there are " + strings.Join(known, ", ")
		}
		return e
	}
	state, err := do(session, name)
	if err != nil {
		return err
	}
	t := &terminal.Table{Header: []string{"QUEUE", "STATE"}}
	t.Add(name, state)
	return t.Write(s)
}

func resume(cmd *cobra.Command, s *terminal.Streams, session *session.Session, name string) (string, error) {
	ctx := cmd.Context()
	resumed, err := worker.ResumeQueue(ctx, session.Redis, name)
	if err != nil {
		return "", err
	}
	before, paused, err := worker.PausedQueue(ctx, session.Redis, name)
	if err != nil {
		return "", err
	}
	pauses, err := worker.ProbeNow(ctx, session.Redis)
	if err != nil {
		return "", err
	}
	state := "resumed"
	switch {
	case paused:
		state = "probing"
		fmt.Fprintf(s.Err, "cozeq: queue %s is paused by cozeq for credential %s: a probe is sent now, and if Coze accepts it the queue resumes\n",
			name, strings.Join(before.Credentials, ", "))
	case pauses > 0:
		fmt.Fprintln(s.Err, "cozeq: a probe of each pause of cozeq is sent now, see 'cozeq queues'")
	case !resumed:
		fmt.Fprintf(s.Err, "cozeq: queue %s was not paused\n", name)
	}
	if pauses == 0 && !paused {
		return state, nil
	}
	if _, none := errors.AsType[*exitcode.NoWorkerError](session.Served(name)); none {
		fmt.Fprintf(s.Err, "cozeq: no worker serves queue %s: the probe is sent once one does\n", name)
	}
	return state, nil
}
