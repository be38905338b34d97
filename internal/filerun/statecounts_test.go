package filerun

import (
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// TestStateCounts tells from what the worker has said where each open row is.
func TestStateCounts(t *testing.T) {
	now := time.Now()
	r := newRun(&Job{Forget: true})
	add := func(n int, key string, o openRow) {
		chat := tasks.Ask("b", "q")
		chat.ConversationKey = key
		o.row = &input.Row{N: n, Chat: chat}
		r.window.byID[batches.TaskID("r", n, 1)] = &o
	}
	add(1, "", openRow{})
	add(2, "", openRow{askedAt: now.Add(-time.Second)})
	add(3, "", openRow{askedAt: now.Add(-time.Minute)})
	add(4, "", openRow{chat: true})
	add(5, "", openRow{wait: progress.WaitBackOff})
	add(6, "", openRow{wait: progress.WaitPause})
	add(9, "k", openRow{})
	add(8, "k", openRow{chat: true})
	add(7, "other", openRow{wait: progress.WaitBusy})
	r.same = &coalescer{waiting: 3}
	c := r.stateCounts(now)
	want := stateCounts{inFlight: 3, queued: 1}
	for _, w := range []progress.Wait{progress.WaitTurn, progress.WaitRate, progress.WaitBackOff, progress.WaitPause, progress.WaitBusy} {
		want.waits[w] = 1
	}
	want.waits[progress.WaitSame] = 3
	if c != want {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	s := r.snapshot(now)
	if s.Enqueued != 12 || s.InFlight != 3 || s.InFlight+s.Queued+s.Waiting.Total() != s.Enqueued {
		t.Errorf("%+v", s)
	}

	// Where others do the work only their counts tell; they may be older than what is known here.
	r.job.Forget, r.same, r.shared = false, nil, &sharedBatch{}
	if c := r.stateCounts(now); c.inFlight+c.queued != 0 || c.waits.Total() != 1 {
		t.Errorf("without counts: %+v", c)
	}
	for _, counts := range []batches.Counts{
		{Total: 100, Running: 4, Waiting: 3, Queued: 93}, {Total: 100, Running: 50, Waiting: 50}, {Total: 100, Queued: 100},
	} {
		r.shared.counts.Store(&counts)
		if c := r.stateCounts(now); c.inFlight+c.queued+c.waits.Total() != r.window.len() || c.inFlight > counts.Running {
			t.Errorf("%+v: %+v", counts, c)
		}
	}
}

func TestStepped(t *testing.T) {
	job := &Job{}
	job.Stepped("nobody's", progress.WaitRate) // before Run
	r := newRun(job)
	job.handle.set(r)
	job.handle.ready(nil)
	o := &openRow{row: &input.Row{N: 1, Chat: tasks.Ask("b", "q")}}
	r.window.byID["r-1"] = o
	r.journal = journal.InMemory()
	if err := r.journal.Begin("r", input.Source{Rows: 1}); err != nil {
		t.Fatal(err)
	}
	r.setTotal(1)
	step := func(p Progress) {
		if err := job.Progress(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	step(Progress{ID: "r-1", AskedAt: time.Now()})
	if o.askedAt.IsZero() || o.chat {
		t.Errorf("asked: %+v", o)
	}
	step(Progress{ID: "r-1", ChatID: "c"})
	if !o.chat {
		t.Errorf("taken: %+v", o)
	}
	job.Stepped("r-1", progress.WaitRate)
	if o.chat || !o.askedAt.IsZero() || o.wait != progress.WaitRate {
		t.Errorf("waits: %+v", o)
	}
	step(Progress{ID: "r-1", ChatID: "c"})
	if o.wait != progress.NoWait {
		t.Errorf("taken again: %+v", o)
	}
	job.Stepped("r-2", progress.WaitRate) // somebody else's
}
