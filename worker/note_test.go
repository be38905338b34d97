package worker_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestTakenOverBeforeSent has a task taken over while its first worker still connects to
// ask: its question is not sent any more. Where nobody has taken it over it is.
func TestTakenOverBeforeSent(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for _, taken := range []bool{true, false} {
			l := newLine(t, rdb)
			connected := make(chan struct{})
			verdict := make(chan worker.Verdict, 1)
			stop := l.work(func(c *worker.Config) {
				transport := coze.NewTransport(1)
				transport.DisableKeepAlives = true
				dials, dial := 0, transport.DialContext
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials++; dials == 2 { // the first makes the conversation
						<-connected
					}
					return dial(ctx, network, address)
				}
				c.Coze.HTTP = &http.Client{Transport: transport}
				c.OnVerdict = func(_ string, v worker.Verdict) { verdict <- v }
			})
			id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
			until(t, "the note", func() bool { return rdb.HExists(t.Context(), results.Key(id), "asked_at").Val() })
			noted := time.Now()
			if taken {
				if _, err := l.store.Begin(t.Context(), results.Result{ID: id}, false); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "the note to be old", func() bool { return time.Since(noted) > 1100*time.Millisecond })
			close(connected)
			if !taken {
				if r := l.wait(id); r.Status != results.Completed || r.PossibleDuplicate || l.fake.Accepted() != 1 {
					t.Errorf("%d chats, got %+v", l.fake.Accepted(), r)
				}
			} else if v := <-verdict; v.Action != worker.Drop || l.fake.Accepted() != 0 {
				t.Errorf("%d chats, verdict %+v", l.fake.Accepted(), v)
			}
			stop()
		}
	})
}
