package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/queuestate"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks/batches"
	"github.com/cozeq/cozeq/worker"
)

type statusOptions struct {
	streams *terminal.Streams
	json    bool
}

func newStatus(s *terminal.Streams) *cobra.Command {
	o := &statusOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "status ID",
		Short: "Show the progress of a batch, and its failures",
		Long: `Shows how far a batch is: the count of each status, the tokens billed, the
speed, what it is waiting for, and what failed, with one example per kind.`,
		Example: `  cozeq batch status 7xw2kqnh4d
  cozeq batch status 7xw2 --json | jq .counts`,
		Args: misuse.CheckArgs(1, 1, "ID"),
		RunE: o.run,
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

// progressNow is the progress of a batch at one moment.
type progressNow struct {
	*batches.Status
	failures []progress.FailureCount
	pauses   []worker.Pause         // that delay its questions
	paused   *queuestate.QueuePause // of its queue
	served   bool                   // by a live worker
	took     time.Duration          // from its creation to its end, or until now
}

func (f *target) status(ctx context.Context) (s progressNow, err error) {
	s.Status, s.served, s.took = f.batch, true, f.detached().Took()
	if s.failures, err = f.detached().Failures(ctx); err != nil {
		return s, err
	}
	if f.batch.Counts.Open() == 0 {
		return s, nil
	}
	watch := pausewatch.New(f.session, f.batch.Queue, pausewatch.Timeouts{}, nil)
	watch.OpenRows = f.flights(ctx)
	seen, err := watch.Look(ctx)
	if err != nil {
		return s, err
	}
	s.pauses = seen.Held
	p, paused, err := watch.PausedQueue(ctx)
	if err != nil {
		return s, err
	}
	if paused {
		s.paused = queuestate.NewPause(p)
	}
	err = f.session.Served(f.batch.Queue)
	if _, nobody := errors.AsType[*exitcode.NoWorkerError](err); nobody {
		s.served, err = false, nil
	}
	return s, err
}

// sampledFlights is how many open questions are looked at for pauses that delay the batch.
const sampledFlights = 1000

// flights are some of the questions that are queued or being asked; none if Redis does not answer.
func (f *target) flights(ctx context.Context) func() []progress.OpenRow {
	d := f.detached()
	return func() []progress.OpenRow {
		flights, err := d.OpenRows(ctx, sampledFlights)
		if err != nil {
			return nil
		}
		return flights
	}
}

func (s *progressNow) summary() progress.Summary {
	c := s.Counts
	return progress.Summary{
		Rows: c.Total, Answered: c.Completed, Failed: c.Failed, Canceled: c.Canceled, Expired: c.Expired,
		Asked: c.Total - c.Open(), Failures: s.failures,
		Tokens: s.Tokens.TokenCount, TokensIn: s.Tokens.InputCount, TokensOut: s.Tokens.OutputCount,
		Elapsed: s.took,
	}
}

// rate is the mean number of questions that ended per second.
func (s *progressNow) rate() float64 {
	return float64(s.Counts.Total-s.Counts.Open()) / max(s.took.Seconds(), 0.1)
}

// statusJSON is a batch with its progress; durations are in seconds.
type statusJSON struct {
	recordJSON
	Enqueued int                    `json:"enqueued"`
	Age      float64                `json:"age_seconds"`
	Took     float64                `json:"took_seconds"`
	Rate     float64                `json:"rate_per_second"`
	Served   bool                   `json:"served"`
	Pauses   []worker.Pause         `json:"pauses,omitempty"`
	Paused   *queuestate.QueuePause `json:"queue_paused,omitempty"`
}

func (s *progressNow) record() statusJSON {
	out := statusJSON{
		recordJSON: newRecord(s.Status), Enqueued: s.Enqueued, Age: terminal.Seconds(time.Since(s.CreatedAt)), Took: terminal.Seconds(s.took),
		Rate: s.rate(), Served: s.served, Pauses: s.pauses, Paused: s.paused,
	}
	out.Failures = nil
	for _, f := range s.failures {
		out.Failures = append(out.Failures, panel.FailureJSON(f))
	}
	return out
}

func (o *statusOptions) run(cmd *cobra.Command, args []string) error {
	f, err := open(cmd, o.streams, args[0])
	if err != nil {
		return err
	}
	defer f.session.Close()
	s, err := f.status(cmd.Context())
	if err != nil {
		return err
	}
	if o.json {
		return terminal.WriteJSON(o.streams.Out, s.record())
	}
	return o.print(&s)
}

func (o *statusOptions) print(s *progressNow) error {
	st := o.streams
	t := &terminal.Table{Header: []string{"BATCH", s.ID}}
	if !st.OutTTY {
		t.Add("batch", s.ID)
	}
	t.Add("name", s.Name)
	t.Add("state", s.State())
	n := s.Counts
	t.Add("questions", st.Number(n.Total))
	for _, line := range []struct {
		name string
		n    int
	}{
		{"completed", n.Completed}, {"failed", n.Failed}, {"canceled", n.Canceled}, {"expired", n.Expired},
		{"waiting", n.Waiting}, {"running", n.Running}, {"queued", n.Queued},
	} {
		t.Add(line.name, st.Number(line.n))
	}
	if unfinishedSubmit(s.Status) && s.Kind != batches.KindRun {
		t.Add("submitted", fmt.Sprintf("%s of %s: its submit is running, or was interrupted; run the same 'cozeq batch submit' to resume",
			terminal.Count(s.Enqueued), terminal.Count(n.Total)))
	}
	t.Add("tokens", fmt.Sprintf("%s (%s in, %s out)", terminal.Count(int(s.Tokens.TokenCount)), terminal.Count(int(s.Tokens.InputCount)), terminal.Count(int(s.Tokens.OutputCount))))
	t.Add("age", st.Age(time.Since(s.CreatedAt)))
	if n.Open() == 0 {
		t.Add("took", st.Age(s.took))
	}
	t.Add("rate", fmt.Sprintf("%.3g/s", s.rate()))
	if !s.ExpiresAt.IsZero() {
		t.Add("expires", st.Moment(s.ExpiresAt))
	}
	t.Add("queue", s.Queue)
	if s.Kind == batches.KindRun {
		t.Add("run", "its answers are written to "+where(s.Status))
	}
	for _, text := range o.holds(s) {
		t.Add("waits for", text)
	}
	for _, f := range s.failures {
		t.Add("failed", panel.FailureLine(f))
		if f.Hint != "" {
			t.Add("hint", st.Translate(f.Hint))
		}
	}
	return t.WriteLong(st)
}

func (o *statusOptions) holds(s *progressNow) (all []string) {
	if s.Counts.Open() == 0 {
		return nil
	}
	if !s.served {
		all = append(all, fmt.Sprintf("a worker that serves queue %s: there is none ('cozeq worker' starts one)", s.Queue))
	}
	if s.paused != nil && s.paused.By == queuestate.ByOperator {
		all = append(all, fmt.Sprintf("an operator, who has paused queue %s at %s ('cozeq queues resume %s')", s.Queue, o.streams.Moment(s.paused.Since), s.Queue))
	}
	for _, p := range s.pauses {
		text := fmt.Sprintf("%s, paused since %s: %s; %s", pausewatch.Subject(p), o.streams.Moment(p.Since), pausewatch.ErrorOf(p), pausewatch.NextProbe(p))
		if p.Hint != "" {
			text += "; " + o.streams.Translate(p.Hint)
		}
		all = append(all, text)
	}
	return all
}
