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

type batchStatusCommand struct {
	streams *terminal.Streams
	json    bool
}

func newBatchStatusCmd(s *terminal.Streams) *cobra.Command {
	c := &batchStatusCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "status ID",
		Short: "Show the progress of a batch, and its failures",
		Long: `Shows how far a batch is: the count of each status, the tokens billed, the
speed, what it is waiting for, and what failed, with one example per kind.`,
		Example: `  cozeq batch status 7xw2kqnh4d
  cozeq batch status 7xw2 --json | jq .counts`,
		Args: misuse.CheckArgs(1, 1, "ID"),
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

// batchStatus is a batch at one moment, with what it takes several looks to know.
type batchStatus struct {
	*batches.Status
	failures []progress.FailureCount
	pauses   []worker.Pause    // that hold questions of the batch up
	paused   *queuestate.Pause // of its queue
	served   bool              // by a live worker
	took     time.Duration     // from its creation to its end, or until now
}

func (f *foundBatch) status(ctx context.Context) (s batchStatus, err error) {
	s.Status, s.served, s.took = f.Status, true, f.detached().Took()
	if s.failures, err = f.detached().Failures(ctx); err != nil {
		return s, err
	}
	if f.Counts.Open() == 0 {
		return s, nil
	}
	watch := pausewatch.New(f.Session, f.Queue, pausewatch.Timeouts{}, nil)
	watch.Flights = f.flights(ctx)
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
	err = f.Session.Served(f.Queue)
	if _, nobody := errors.AsType[*exitcode.NoWorkerError](err); nobody {
		s.served, err = false, nil
	}
	return s, err
}

// sampledFlights is how many open questions are looked at to find out whether pauses
// hold the batch up.
const sampledFlights = 1000

// flights are some of the questions that are in the queue or being asked; none while
// Redis does not tell.
func (f *foundBatch) flights(ctx context.Context) func() []progress.Flight {
	d := f.detached()
	return func() []progress.Flight {
		flights, err := d.Flights(ctx, sampledFlights)
		if err != nil {
			return nil
		}
		return flights
	}
}

// summary is what the batch has come to so far.
func (s *batchStatus) summary() progress.Summary {
	c := s.Counts
	return progress.Summary{
		Rows: c.Total, Answered: c.Completed, Failed: c.Failed, Canceled: c.Canceled, Expired: c.Expired,
		Asked: c.Total - c.Open(), Failures: s.failures,
		Tokens: s.Tokens.TokenCount, TokensIn: s.Tokens.InputCount, TokensOut: s.Tokens.OutputCount,
		Elapsed: s.took,
	}
}

// rate is how many questions have ended a second, over all of that time.
func (s *batchStatus) rate() float64 {
	return float64(s.Counts.Total-s.Counts.Open()) / max(s.took.Seconds(), 0.1)
}

// batchStatusJSON is a batch with what status adds; durations are in seconds.
type batchStatusJSON struct {
	batchJSON
	Enqueued int               `json:"enqueued"`
	Age      float64           `json:"age_seconds"`
	Took     float64           `json:"took_seconds"`
	Rate     float64           `json:"rate_per_second"`
	Served   bool              `json:"served"`
	Pauses   []worker.Pause    `json:"pauses,omitempty"`
	Paused   *queuestate.Pause `json:"queue_paused,omitempty"`
}

func (s *batchStatus) record() batchStatusJSON {
	out := batchStatusJSON{
		batchJSON: batchRecord(s.Status), Enqueued: s.Enqueued, Age: terminal.Seconds(time.Since(s.CreatedAt)), Took: terminal.Seconds(s.took),
		Rate: s.rate(), Served: s.served, Pauses: s.pauses, Paused: s.paused,
	}
	out.Failures = nil
	for _, f := range s.failures {
		out.Failures = append(out.Failures, panel.FailureJSON(f))
	}
	return out
}

func (c *batchStatusCommand) run(cmd *cobra.Command, args []string) error {
	f, err := openBatch(cmd, c.streams, args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := f.status(cmd.Context())
	if err != nil {
		return err
	}
	if c.json {
		return terminal.WriteJSON(c.streams.Out, s.record())
	}
	return c.print(&s)
}

func (c *batchStatusCommand) print(s *batchStatus) error {
	st := c.streams
	t := &terminal.Table{Header: []string{"BATCH", s.ID}}
	if !st.OutTTY {
		t.Add("batch", s.ID)
	}
	t.Add("name", s.Name)
	t.Add("state", stateOf(s.Status))
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
	if halfWay(s.Status) && s.Kind != batches.KindRun {
		t.Add("submitted", fmt.Sprintf("%s of %s: its submit is under way, or was cut short; the same 'cozeq batch submit' goes on with it",
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
	for _, text := range c.holds(s) {
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

// holds says what keeps the batch from going on.
func (c *batchStatusCommand) holds(s *batchStatus) (all []string) {
	if s.Counts.Open() == 0 {
		return nil
	}
	if !s.served {
		all = append(all, fmt.Sprintf("a worker that serves queue %s: there is none ('cozeq worker' starts one)", s.Queue))
	}
	if s.paused != nil && s.paused.By == queuestate.ByOperator {
		all = append(all, fmt.Sprintf("an operator, who has paused queue %s at %s ('cozeq queues resume %s')", s.Queue, c.streams.Moment(s.paused.Since), s.Queue))
	}
	for _, p := range s.pauses {
		text := fmt.Sprintf("%s, paused since %s: %s; %s", pausewatch.Subject(p), c.streams.Moment(p.Since), pausewatch.ErrorOf(p), pausewatch.NextProbe(p))
		if p.Hint != "" {
			text += "; " + c.streams.Translate(p.Hint)
		}
		all = append(all, text)
	}
	return all
}
