package filerun

import (
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// TestCensus tells from what the worker has said where each open row is.
func TestCensus(t *testing.T) {
	now := time.Now()
	r := newRun(&Job{Forget: true})
	add := func(n int, key string, f flight) {
		chat := tasks.Ask("b", "q")
		chat.ConversationKey = key
		f.row = &input.Row{N: n, Chat: chat}
		r.flights[batches.TaskID("r", n, 1)] = &f
	}
	add(1, "", flight{})
	add(2, "", flight{asked: now.Add(-time.Second)})
	add(3, "", flight{asked: now.Add(-time.Minute)})
	add(4, "", flight{chat: true})
	add(5, "", flight{wait: progress.WaitBackOff})
	add(6, "", flight{wait: progress.WaitPause})
	add(9, "k", flight{})
	add(8, "k", flight{chat: true})
	add(7, "other", flight{wait: progress.WaitBusy})
	r.parked = 3
	c := r.census(now)
	want := census{inFlight: 3, queued: 1}
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
	r.Forget, r.parked = false, 0
	if c := r.census(now); c.inFlight+c.queued != 0 || c.waits.Total() != 1 {
		t.Errorf("without counts: %+v", c)
	}
	for _, counts := range []batches.Counts{
		{Total: 100, Running: 4, Waiting: 3, Queued: 93}, {Total: 100, Running: 50, Waiting: 50}, {Total: 100, Queued: 100},
	} {
		r.counts = counts
		if c := r.census(now); c.inFlight+c.queued+c.waits.Total() != len(r.flights) || c.inFlight > counts.Running {
			t.Errorf("%+v: %+v", counts, c)
		}
	}
}

func TestStepped(t *testing.T) {
	job := &Job{}
	job.Stepped("nobody's", progress.WaitRate) // before Run
	r := newRun(job)
	job.gate.show(r)
	f := &flight{row: &input.Row{N: 1, Chat: tasks.Ask("b", "q")}}
	r.flights["r-1"] = f
	r.stepped(Progress{ID: "r-1", AskedAt: time.Now()})
	if f.asked.IsZero() || f.chat {
		t.Errorf("asked: %+v", f)
	}
	r.stepped(Progress{ID: "r-1", ChatID: "c"})
	if !f.chat {
		t.Errorf("taken: %+v", f)
	}
	job.Stepped("r-1", progress.WaitRate)
	if f.chat || !f.asked.IsZero() || f.wait != progress.WaitRate {
		t.Errorf("waits: %+v", f)
	}
	r.stepped(Progress{ID: "r-1", ChatID: "c"})
	if f.wait != progress.NoWait {
		t.Errorf("taken again: %+v", f)
	}
	job.Stepped("r-2", progress.WaitRate) // somebody else's
}
