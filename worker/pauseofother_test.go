package worker_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// refuseToken answers as Coze does to a token that it does not know.
func refuseToken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprint(w, `{"code":4100,"msg":"authentication is invalid"}`)
}

// broken starts a worker that Coze refuses everything, with a base URL and so a credential of its own.
func (l *line) broken(refuse http.HandlerFunc) (f *front, stop func()) {
	f = newFront(l.t, l.fake.URL)
	f.closed.Store(&refuse)
	return f, l.work(func(c *worker.Config) { c.Concurrency, c.Coze.BaseURL = 8, f.URL })
}

// pausedFor are the credentials that cozeq has paused the queue for.
func (l *line) pausedFor() []string {
	l.t.Helper()
	p, _, err := worker.PausedQueue(l.t.Context(), l.rdb, tasks.QueueDefault)
	if err != nil {
		l.t.Fatal(err)
	}
	return p.Credentials
}

// TestPauseOfAnotherCredential has a worker with a wrong base URL or token beside a good one on the same queue. The good
// one answers everything, also what the other one had taken before it was paused.
func TestPauseOfAnotherCredential(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]http.HandlerFunc{
		"base":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"token": refuseToken,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				l := newLine(t, rdb)
				var ids []string
				for i := range 400 {
					ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{}))
				}
				l.broken(refuse)
				awaittest.Until(t, "the pause", func() bool { return len(l.paused()) == 1 && len(l.pausedFor()) == 1 })
				l.work()
				for _, id := range ids {
					if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 {
						t.Fatalf("got %+v %+v", r, r.Error)
					}
				}
				pauses := l.paused()
				if len(pauses) != 1 || pauses[0].Aside != 0 {
					t.Errorf("pauses %+v, want the first still, and nothing that waits for its end", pauses)
				}
				p, paused, err := worker.PausedQueue(t.Context(), rdb, tasks.QueueDefault)
				if err != nil || !paused || len(p.Credentials) != 1 || len(p.Others) != 1 || p.Credentials[0] == p.Others[0] {
					t.Errorf("queue %+v %v %v, want it paused for one credential, and another that goes on", p, paused, err)
				}
			})
		})
	}
}

// TestProbeOfItsOwn has two credentials paused at once beside a good one. Each ends by a probe of its own workers, and
// an operator's pause stops all.
func TestProbeOfItsOwn(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		first, _ := l.broken(refuseToken)
		l.enqueue(tasks.Ask("bot", "the first"), tasks.Options{})
		awaittest.Until(t, "the first pause", func() bool { return len(l.pausedFor()) == 1 })
		one := l.pausedFor()[0]
		second, stopSecond := l.broken(refuseToken)
		l.enqueue(tasks.Ask("bot", "the second"), tasks.Options{})
		awaittest.Until(t, "the second pause", func() bool { return len(l.pausedFor()) == 2 })
		two := slices.DeleteFunc(l.pausedFor(), func(c string) bool { return c == one })[0]

		stop := l.work()
		if r := l.ask("beside them"); r.Status != results.Completed {
			t.Errorf("got %+v", r)
		}
		if _, err := worker.PauseQueue(t.Context(), l.rdb, tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		held := l.enqueue(tasks.Ask("bot", "held"), tasks.Options{})
		l.completed(l.enqueue(tasks.Ask("bot", "low"), tasks.Options{Queue: tasks.QueueLow}))
		if r, err := l.store.Get(t.Context(), held); err != nil || r.Status != results.Queued {
			t.Errorf("an operator has paused the queue: got %+v, %v", r, err)
		}
		if _, err := worker.ResumeQueue(t.Context(), l.rdb, tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		l.completed(held)
		stop()

		// The paused ones meet their pauses once more, as an operator has resumed the queue.
		last := l.enqueue(tasks.Ask("bot", "the last"), tasks.Options{})
		awaittest.Until(t, "both pauses", func() bool { return len(l.pausedFor()) == 2 })
		second.closed.Store(nil)
		awaittest.Until(t, "the second's end", func() bool {
			_, err := worker.ProbeNow(t.Context(), l.rdb)
			p := l.paused()
			return err == nil && len(p) == 1 && p[0].Credential == one
		})
		l.completed(last)
		if got := l.pausedFor(); len(got) == 1 && got[0] == two {
			t.Errorf("paused for %v, want at most the first, %s", got, one)
		}
		stopSecond() // or it would be quicker than the probe
		first.closed.Store(nil)
		l.enqueue(tasks.Ask("bot", "for its probe"), tasks.Options{})
		awaittest.Until(t, "the first's end", func() bool {
			_, err := worker.ProbeNow(t.Context(), l.rdb)
			return err == nil && len(l.paused()) == 0 && !l.queue().Paused
		})
	})
}
