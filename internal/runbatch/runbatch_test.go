package runbatch_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

func TestMain(m *testing.M) { redistest.Main(m) }

type batch struct {
	*tasktest.Batch
	runs *runbatch.Client
}

func newBatch(l *tasktest.Line) *batch {
	return &batch{tasktest.NewBatch(l, "r"), runbatch.New(l.Tasks)}
}

// A run's batch begins again as the run's file says.
func TestRegister(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newBatch(l)
		ctx := t.Context()
		b := batches.Spec{ID: "r", Name: "q.txt", Rows: 5, Output: "/data/a.csv", Host: "here"}
		f.Must(f.runs.Register(ctx, b, nil))
		enqueue := func(row, ask int) {
			chat := tasks.Ask("bot", "why?")
			chat.BatchID = "r"
			l.Enqueue(chat, batches.TaskID("r", row, ask))
		}
		for row := 1; row <= 3; row++ {
			enqueue(row, 1)
		}
		f.Must(f.runs.NoteEnqueued(ctx, "r", 3))
		f.End(1, results.Completed)
		f.End(2, results.Failed)
		a := f.Begin("r-3") // it has ended, and the run is quicker than the mark
		a.Result.Attempts = 1
		a.Result.Usage = &results.Usage{TokenCount: 3}
		a.Result.Spent, a.Result.Usage = a.Result.Billed(), nil
		a.Result.Attempts, a.Result.Status, a.Result.Usage = 2, results.Completed, &results.Usage{TokenCount: 4}
		f.Must(a.Finish(ctx, false))
		published := results.Result{ID: "r-3", BatchID: "r", Status: results.Completed, Attempts: 2, Usage: &results.Usage{TokenCount: 4}}
		f.Must(f.runs.Release(ctx, []*results.Result{&published}))
		f.Must(f.runs.Release(ctx, []*results.Result{&published}))
		if _, err := f.Store.Get(ctx, "r-3"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("it is still there: %v", err)
		}
		if ended, err := tally.New(f.Redis).Ended(ctx, "r-3"); err != nil || !ended {
			t.Errorf("a task that comes back: %v, %v", ended, err)
		}
		f.Letters("CFCqq")
		if b := f.Read(); b.Tokens.TokenCount != 24+7 || b.Kind != batches.KindRun || b.Output != "/data/a.csv" || b.Host != "here" || b.Enqueued != 3 {
			t.Errorf("%+v", b)
		}
		if err := f.Add(ctx, "r", []batches.Row{{N: 1, Chat: tasks.Ask("bot", "why?")}}); !errors.Is(err, batches.ErrIsRun) {
			t.Errorf("add: %v", err)
		}
		if _, err := f.Retry(ctx, "r", batches.RetryOptions{Want: func(int, *results.Result) bool { return true }}); !errors.Is(err, batches.ErrIsRun) {
			t.Errorf("retry: %v", err)
		}

		f.Must(f.Cancel(ctx, "r", nil))
		f.Letters("CFCXX")
		if err := f.runs.NoteEnqueued(ctx, "r", 4); !errors.Is(err, batches.ErrCanceled) {
			t.Errorf("fed: %v", err)
		}
		if _, err := f.Store.Get(ctx, "r-5"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("a row that was not enqueued has a record: %v", err)
		}

		// --retry-failed: row 2 is asked again, 4 and 5 as well.
		known := runbatch.NewRows(5)
		known.Set(tally.Mark{Row: 1, Attempt: 1, Status: results.Completed, Usage: results.Usage{TokenCount: 12}})
		known.Set(tally.Mark{Row: 2, Attempt: 2, Status: results.Queued})
		known.Set(tally.Mark{Row: 3, Attempt: 1, Status: results.Failed, Class: "rate", Code: 4013})
		f.Must(f.runs.Register(ctx, b, known))
		f.Letters("Cq2Fqq")
		enqueue(2, 2)
		f.End(2, results.Completed)
		f.Letters("CC2Fqq")
		got := f.Read()
		if !got.CanceledAt.IsZero() || !got.EndedAt.IsZero() || got.Tokens.TokenCount != 31+12 ||
			got.Counts != (batches.Counts{Total: 5, Completed: 2, Failed: 1, Queued: 2}) ||
			!slices.Equal(got.Failures, []batches.FailureCount{{Class: "rate", Code: 4013, Count: 1}}) {
			t.Errorf("%+v", got)
		}
	})
}

// A run takes its batch up again while a task is in the queue whose row has ended, and
// whose record is gone: no worker, whenever it looks, takes the row for an open one.
func TestNeverForgetsAnEnd(t *testing.T) {
	s, err := embeddedredis.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := newBatch(tasktest.New(t, s.Client()))
	ctx := t.Context()
	b := batches.Spec{ID: "r", Name: "q.txt", Rows: 3}
	f.Must(f.runs.Register(ctx, b, nil))
	f.Must(f.runs.Release(ctx, []*results.Result{
		{ID: "r-1", BatchID: "r", Status: results.Completed}, {ID: "r-2", BatchID: "r", Status: results.Failed},
	}))
	known := runbatch.NewRows(3)
	known.Set(tally.Mark{Row: 1, Attempt: 1, Status: results.Completed})
	known.Set(tally.Mark{Row: 2, Attempt: 2, Status: results.Queued})
	st := redistest.NewStage(f.Redis)
	defer st.Clear()
	st.Enter("run", func(a *redistest.Actor) {
		err = runbatch.New(tasks.NewClient(results.NewStore(a.Redis))).Register(ctx, b, known)
	})
	for len(st.Actors) > 0 {
		st.Step(st.Actors[0], redistest.Answered)
		for _, id := range []string{"r-1", "r-2"} {
			if ended, err := tally.New(f.Redis).Ended(ctx, id); err != nil || !ended {
				t.Errorf("%s: %v, %v", id, ended, err)
			}
		}
	}
	f.Must(err)
	f.Letters("Cq2q")
}

// What an earlier start of a run has left in Redis: states, attempts and tokens of one moment.
func TestState(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newBatch(l)
		if _, err := f.runs.State(t.Context(), "r"); !errors.Is(err, batches.ErrNotFound) {
			t.Errorf("no batch: %v", err)
		}
		known := runbatch.NewRows(3)
		known.Set(tally.Mark{Row: 1, Attempt: 2, Status: results.Failed, Class: "rate", Code: 4013, Usage: results.Usage{TokenCount: 7}})
		known.Set(tally.Mark{Row: 3, Attempt: 1, Status: results.Completed, Usage: results.Usage{TokenCount: 5, OutputCount: 3, InputCount: 2}})
		f.Must(f.runs.Register(t.Context(), batches.Spec{ID: "r", Rows: 3, Queue: tasks.QueueDefault}, known))
		state, err := f.runs.State(t.Context(), "r")
		f.Must(err)
		if state.Len() != 3 || state.Status(1) != results.Failed || state.Attempt(1) != 2 || state.Status(2) != results.Queued || state.Attempt(3) != 1 {
			t.Errorf("%+v", state)
		}
		if want := (results.Usage{TokenCount: 12, OutputCount: 3, InputCount: 2}); state.Usage != want {
			t.Errorf("usage %+v, want %+v", state.Usage, want)
		}
	})
}
