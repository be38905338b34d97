package worker_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/record"
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
				dial := transport.DialContext
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					if l.fake.Calls("/v1/conversation/create") > 0 { // the next thing is to ask
						<-connected
					}
					return dial(ctx, network, address)
				}
				c.Coze.HTTP = &http.Client{Transport: transport}
				c.OnVerdict = func(_ string, v worker.Verdict) { verdict <- v }
			})
			id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
			awaittest.Until(t, "the note", func() bool { return rdb.HExists(t.Context(), results.Key(id), "asked_at").Val() })
			noted := time.Now()
			if taken {
				if _, err := record.New(l.store).Begin(t.Context(), results.Result{ID: id}, false); err != nil {
					t.Fatal(err)
				}
			}
			awaittest.Until(t, "the note to be old", func() bool { return time.Since(noted) > 1100*time.Millisecond })
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

// askedConn tells when a question has been written to it.
type askedConn struct {
	net.Conn
	asked func()
}

func (c askedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if bytes.Contains(b, []byte("POST /v3/chat?")) {
		c.asked()
	}
	return n, err
}

// TestTakenOverAfterSent has a task taken over after its question has left and before
// Coze has said anything. The second worker does not find it in time, and asks again: the
// first one's chat is canceled at Coze as soon as it is known, and the record says so,
// whether the task has ended by then or not.
func TestTakenOverAfterSent(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for _, ended := range []bool{false, true} {
			l := newLine(t, rdb, cozetest.With(cozetest.Config{Delay: time.Second}))
			asked, verdict := make(chan struct{}), make(chan worker.Verdict, 1)
			stop := l.work(func(c *worker.Config) {
				transport := coze.NewTransport(1)
				dial := transport.DialContext
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := dial(ctx, network, address)
					return askedConn{conn, sync.OnceFunc(func() { close(asked) })}, err
				}
				c.Coze.HTTP = &http.Client{Transport: transport}
				c.OnVerdict = func(_ string, v worker.Verdict) { verdict <- v }
			})
			id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
			<-asked
			second, err := record.New(l.store).Begin(t.Context(), results.Result{ID: id}, false)
			if err == nil {
				err = second.Asking(t.Context(), "another")
			}
			if err == nil {
				err = second.Created(t.Context(), "another", "second")
			}
			end := func() {
				second.Result.Status = results.Completed
				if err := second.Finish(t.Context(), false); err != nil {
					t.Error(err)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if ended {
				end()
			}
			if v := <-verdict; v.Action != worker.Drop {
				t.Errorf("verdict %+v", v)
			}
			if !ended {
				end()
			}
			r, err := l.store.Get(t.Context(), id)
			if err != nil || !r.PossibleDuplicate || len(r.OtherChatIDs) != 1 || r.ChatID != "second" {
				t.Errorf("got %+v, %v", r, err)
			}
			if n := l.fake.Calls("/v3/chat/cancel"); n != 1 || l.fake.Accepted() != 1 {
				t.Errorf("%d chats, %d canceled", l.fake.Accepted(), n)
			}
			stop()
		}
	})
}
