// Package queues is the command queues: it shows the queues, pauses and limits of a shared Redis, and pauses and resumes
// queues.
package queues

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/queuestate"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

type options struct {
	streams *terminal.Streams
	json    bool
}

func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
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
		Args: func(cmd *cobra.Command, args []string) error { return misuse.UnknownCommand(cmd, args) },
		RunE: o.run,
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	cmd.AddCommand(newPause(s), newResume(s))
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	s, err := session.OpenFor(cmd, o.streams)
	if err != nil {
		return err
	}
	defer s.Close()
	state, err := queuestate.ReadAll(cmd.Context(), s.Redis)
	if err != nil {
		return err
	}
	if o.json {
		return terminal.WriteJSON(o.streams.Out, state)
	}
	return o.print(state)
}

func (o *options) print(state queuestate.All) error {
	queues := &terminal.Table{Header: []string{"QUEUE", "PENDING", "ACTIVE", "SCHEDULED", "RETRY", "ARCHIVED", "OLDEST", "PAUSED"}, Whole: true}
	for _, q := range state.Queues {
		queues.Add(q.Queue, o.streams.Number(q.Pending), o.streams.Number(q.Active), o.streams.Number(q.Scheduled), o.streams.Number(q.Retry), o.streams.Number(q.Archived),
			o.streams.Age(time.Duration(q.OldestPending*float64(time.Second))), o.pausedBy(q, state.Pauses))
	}
	pauses := &terminal.Table{Header: []string{"PAUSED", "SINCE", "WHY", "NEXT PROBE", "ASIDE", "MESSAGE AND HINT"}, Whole: true}
	for _, p := range state.Pauses {
		what := "credential " + p.Credential
		if p.BotID != "" {
			what = "bot " + p.BotID + " with " + p.Credential
		}
		pauses.Add(what, o.streams.Moment(p.Since), pausewatch.Cause(p), o.streams.Moment(p.NextProbe), o.streams.Number(int(p.Aside)),
			strings.Trim(p.Message+" - "+o.streams.Translate(p.Hint), " -"))
	}
	limits := &terminal.Table{Header: []string{"CREDENTIAL", "CALLS A SECOND", "SERVED"}}
	for _, l := range state.Limits {
		rate, served := "not learnt", "no"
		if l.Rate > 0 {
			rate = fmt.Sprintf("%.3g", l.Rate)
		}
		if l.Served {
			served = "yes"
		}
		limits.Add(l.Credential, rate, served)
	}
	unserved := &terminal.Table{Header: []string{"NOT SERVED", "QUEUE", "SINCE", "WHY", "WHAT TO DO"}, Whole: true}
	for _, u := range state.Unreadable {
		unserved.Add("task "+u.ID, u.Queue, o.streams.Moment(u.Since), u.Why, u.Hint)
	}
	for _, q := range state.Queues {
		if q.Grouped > 0 {
			unserved.Add(terminal.Plural(q.Grouped, "task"), q.Queue, "", "enqueued with asynq.Group, and workers of cozeq serve no groups", "enqueue them without it")
		}
	}
	return o.sections([]section{{"queue", queues}, {"pause", pauses}, {"limit", limits}, {"unserved", unserved}})
}

// section is one of several tables; kind tells its lines in a pipe.
type section struct {
	kind string
	*terminal.Table
}

func (o *options) sections(all []section) error {
	written := 0
	for _, s := range all {
		if len(s.Rows) == 0 {
			continue
		}
		if !o.streams.OutTTY {
			for i, row := range s.Rows {
				s.Rows[i] = append([]string{s.kind}, row...)
			}
		} else if written > 0 {
			fmt.Fprintln(o.streams.Out)
		}
		if err := s.Write(o.streams); err != nil {
			return err
		}
		written++
	}
	if written == 0 {
		fmt.Fprintln(o.streams.Err, "cozeq: there is no queue yet: nothing was ever enqueued, and no worker runs")
	}
	return nil
}

func (o *options) pausedBy(q queuestate.Queue, pauses []worker.Pause) string {
	switch {
	case q.Paused == nil:
		return "no"
	case q.Paused.By == queuestate.ByOperator:
		return "by an operator since " + o.streams.Moment(q.Paused.Since)
	}
	text := "by cozeq since " + o.streams.Moment(q.Paused.Since)
	separator := ": "
	for _, p := range pauses {
		if p.BotID == "" && slices.Contains(q.Paused.Credentials, p.Credential) {
			text += separator + pausewatch.Cause(p)
			separator = ", "
		}
	}
	if len(q.Paused.Others) > 0 {
		text += fmt.Sprintf("; workers of %s continue", terminal.Plural(len(q.Paused.Others), "other credential"))
	}
	return text
}
