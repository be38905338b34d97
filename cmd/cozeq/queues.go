package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/worker"
)

type queuesCommand struct {
	streams *streams
	json    bool
}

func newQueuesCmd(s *streams) *cobra.Command {
	c := &queuesCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "queues",
		Short: "Show the queues of a shared Redis, and pause or resume one",
		Long: `Shows the queues of a shared Redis: their questions, the age of the oldest one
that has not started, and who paused a queue: an operator, or cozeq because Coze
refuses everything. Below are the pauses of credentials and bots, with reason and
next probe; how many calls a second Coze accepts; and tasks that no worker
serves: damaged messages taken out of a queue, and tasks in asynq's groups.

Credentials are shown as a hash. In a pipe, the first column is the kind of the
line (queue, pause, limit or unserved), and ages are in seconds.`,
		Example: `  cozeq queues --redis redis://localhost:6379/0
  cozeq queues --json | jq -r '.pauses[].hint'
  cozeq queues pause low
  cozeq queues resume default`,
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	addSettings(cmd, settingRedis, settingLog)
	cmd.AddCommand(newQueuesPauseCmd(s), newQueuesResumeCmd(s))
	return cmd
}

func (c *queuesCommand) run(cmd *cobra.Command, _ []string) error {
	s, err := sharedOf(cmd, c.streams)
	if err != nil {
		return err
	}
	defer s.close()
	state, err := readQueues(cmd.Context(), s.rdb)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.streams.Out, state)
	}
	return c.print(state)
}

// print writes a table of each kind that there is.
func (c *queuesCommand) print(state queuesState) error {
	queues := &table{header: []string{"QUEUE", "PENDING", "ACTIVE", "SCHEDULED", "RETRY", "ARCHIVED", "OLDEST", "PAUSED"}, whole: true}
	for _, q := range state.Queues {
		queues.add(q.Queue, c.streams.number(q.Pending), c.streams.number(q.Active), c.streams.number(q.Scheduled), c.streams.number(q.Retry), c.streams.number(q.Archived),
			c.streams.age(time.Duration(q.OldestPending*float64(time.Second))), c.pausedBy(q, state.Pauses))
	}
	pauses := &table{header: []string{"PAUSED", "SINCE", "WHY", "NEXT PROBE", "ASIDE", "MESSAGE AND HINT"}, whole: true}
	for _, p := range state.Pauses {
		what := "credential " + p.Credential
		if p.BotID != "" {
			what = "bot " + p.BotID + " with " + p.Credential
		}
		pauses.add(what, c.streams.moment(p.Since), pauseCause(p), c.streams.moment(p.NextProbe), c.streams.number(int(p.Aside)),
			strings.Trim(p.Message+" - "+c.streams.hint(p.Hint), " -"))
	}
	limits := &table{header: []string{"CREDENTIAL", "CALLS A SECOND", "SERVED"}}
	for _, l := range state.Limits {
		rate, served := "not learnt", "no"
		if l.Rate > 0 {
			rate = fmt.Sprintf("%.3g", l.Rate)
		}
		if l.Served {
			served = "yes"
		}
		limits.add(l.Credential, rate, served)
	}
	unserved := &table{header: []string{"NOT SERVED", "QUEUE", "SINCE", "WHY", "WHAT TO DO"}, whole: true}
	for _, u := range state.Unreadable {
		unserved.add("task "+u.ID, u.Queue, c.streams.moment(u.Since), u.Why, u.Hint)
	}
	for _, q := range state.Queues {
		if q.Grouped > 0 {
			unserved.add(plural(q.Grouped, "task"), q.Queue, "", "enqueued with asynq.Group, and workers of cozeq serve no groups", "enqueue them without it")
		}
	}
	return c.sections([]section{{"queue", queues}, {"pause", pauses}, {"limit", limits}, {"unserved", unserved}})
}

// section is one of several tables; kind tells its lines in a pipe.
type section struct {
	kind string
	*table
}

func (c *queuesCommand) sections(all []section) error {
	written := 0
	for _, s := range all {
		if len(s.rows) == 0 {
			continue
		}
		if !c.streams.OutTTY {
			for i, row := range s.rows {
				s.rows[i] = append([]string{s.kind}, row...)
			}
		} else if written > 0 {
			fmt.Fprintln(c.streams.Out)
		}
		if err := s.write(c.streams); err != nil {
			return err
		}
		written++
	}
	if written == 0 {
		fmt.Fprintln(c.streams.Err, "cozeq: there is no queue yet: nothing was ever enqueued, and no worker runs")
	}
	return nil
}

// pausedBy says who has paused a queue, and why.
func (c *queuesCommand) pausedBy(q queueState, pauses []worker.Pause) string {
	switch {
	case q.Paused == nil:
		return "no"
	case q.Paused.By == byOperator:
		return "by an operator since " + c.streams.moment(q.Paused.Since)
	}
	text := "by cozeq since " + c.streams.moment(q.Paused.Since)
	separator := ": "
	for _, p := range pauses {
		if p.BotID == "" && slices.Contains(q.Paused.Credentials, p.Credential) {
			text += separator + pauseCause(p)
			separator = ", "
		}
	}
	if len(q.Paused.Others) > 0 {
		text += fmt.Sprintf("; workers of %s go on", plural(len(q.Paused.Others), "other credential"))
	}
	return text
}
