package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

func newQueuesPauseCmd(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Pause a queue",
		Long: `Pauses a queue, as asynqmon would: its questions stay in it, and chats in flight
finish. cozeq never ends this pause by itself. A queue that cozeq had paused is
then paused by you.

Prints the name of the queue and "paused".`,
		Example: `  cozeq queues pause low`,
		Args:    wants(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withQueue(cmd, s, args[0], func(session *session, name string) (string, error) {
				fresh, err := worker.PauseQueue(cmd.Context(), session.rdb, name)
				if err == nil && !fresh {
					fmt.Fprintf(s.Err, "cozeq: an operator had paused queue %s already\n", name)
				}
				return "paused", err
			})
		},
	}
	addSettings(cmd, settingRedis, settingLog)
	return cmd
}

func newQueuesResumeCmd(s *streams) *cobra.Command {
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
		Args: wants(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withQueue(cmd, s, args[0], func(session *session, name string) (string, error) {
				return resume(cmd, s, session, name)
			})
		},
	}
	addSettings(cmd, settingRedis, settingLog)
	return cmd
}

// withQueue does something to a queue and prints what it is now. A name that was
// never seen is taken for a slip, unless it is one that every worker serves.
func withQueue(cmd *cobra.Command, s *streams, name string, do func(*session, string) (string, error)) error {
	if err := tasks.ValidateQueue(name); err != nil {
		return usagef(cmd, "%w", err)
	}
	session, err := sharedOf(cmd, s)
	if err != nil {
		return err
	}
	defer session.close()
	known, err := knownQueues(asynq.NewInspectorFromRedisClient(session.rdb))
	if err != nil {
		return err
	}
	if _, usual := worker.DefaultQueues()[name]; !usual && !slices.Contains(known, name) {
		e := &hintedError{err: fmt.Errorf("no queue %q in this redis", name)}
		if len(known) > 0 {
			e.hint = "there are " + strings.Join(known, ", ")
		}
		return e
	}
	state, err := do(session, name)
	if err != nil {
		return err
	}
	t := &table{header: []string{"QUEUE", "STATE"}}
	t.add(name, state)
	return t.write(s)
}

func resume(cmd *cobra.Command, s *streams, session *session, name string) (string, error) {
	ctx := cmd.Context()
	resumed, err := worker.ResumeQueue(ctx, session.rdb, name)
	if err != nil {
		return "", err
	}
	before, paused, err := worker.PausedQueue(ctx, session.rdb, name)
	if err != nil {
		return "", err
	}
	pauses, err := worker.ProbeNow(ctx, session.rdb)
	if err != nil {
		return "", err
	}
	state := "resumed"
	switch {
	case paused:
		state = "probing"
		fmt.Fprintf(s.Err, "cozeq: cozeq has paused queue %s for credential %s: a probe goes out now, and if Coze takes it the queue goes on\n",
			name, strings.Join(before.Credentials, ", "))
	case pauses > 0:
		fmt.Fprintln(s.Err, "cozeq: a probe of what cozeq has paused goes out now, see 'cozeq queues'")
	case !resumed:
		fmt.Fprintf(s.Err, "cozeq: queue %s was not paused\n", name)
	}
	if pauses == 0 && !paused {
		return state, nil
	}
	if _, none := errors.AsType[*noWorkerError](session.served(name)); none {
		fmt.Fprintf(s.Err, "cozeq: no worker serves queue %s now: the probe goes out when one comes\n", name)
	}
	return state, nil
}
