package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// front stands between a worker and the fake, and may close the way.
type front struct {
	*httptest.Server
	closed atomic.Pointer[http.HandlerFunc] // answers in the fake's place
}

func newFront(t *testing.T, coze string) *front {
	target, err := url.Parse(coze)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f := new(front)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if closed := f.closed.Load(); closed != nil {
			(*closed)(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// dialer gets no connection while away is set.
type dialer struct {
	away  atomic.Bool
	dials atomic.Int32
}

func (d *dialer) client() *http.Client {
	transport := coze.NewTransport(32)
	transport.DisableKeepAlives, transport.ResponseHeaderTimeout = true, 2*time.Second
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		d.dials.Add(1)
		if d.away.Load() {
			return nil, errors.New("no route to host")
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: transport}
}

// TestWayCloses closes the way to Coze in the middle of 200 tasks: all wait, none fails or is asked twice, and they go on
// once it is open.
func TestWayCloses(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, close := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere/", http.StatusMovedPermanently)
		},
		"404":   status(http.StatusNotFound),
		"proxy": status(http.StatusProxyAuthRequired),
		"path": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"code":4000,"msg":"Invalid URL"}`)
		},
		"page": func(w http.ResponseWriter, _ *http.Request) { // the question may have been taken: it is looked for
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>log in</html>")
		},
		"silent": func(_ http.ResponseWriter, r *http.Request) { // the question may have been taken here too
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"away": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				l := newLine(t, rdb, cozetest.With(cozetest.Config{Latency: 10 * time.Millisecond}))
				f, d := newFront(t, l.fake.URL), new(dialer)
				var ids []string
				for i := range 200 {
					ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{Attempts: 1}))
				}
				l.work(func(c *worker.Config) { c.Concurrency, c.Coze.BaseURL, c.Coze.HTTP = 16, f.URL, d.client() })
				awaittest.Until(t, "50 chats", func() bool { return l.fake.Accepted() >= 50 })
				class := string(coze.ClassEndpoint)
				if name == "away" || name == "silent" {
					class = string(coze.ClassTransient)
				}
				if close == nil {
					d.away.Store(true)
				} else {
					f.closed.Store(&close)
				}
				awaittest.Until(t, "the pause", func() bool { p := l.paused(); return len(p) == 1 && p[0].BotID == "" && l.queue().Paused })
				awaittest.Until(t, "all to wait", func() bool { return l.queue().Active == 0 })
				if p := l.paused(); len(p) == 1 && (p[0].Class != class || p[0].Hint == "" || p[0].Message == "") {
					t.Errorf("paused: %+v", p[0])
				}
				f.closed.Store(nil)
				d.away.Store(false)
				if close != nil {
					if _, err := worker.ProbeNow(t.Context(), rdb); err != nil {
						t.Fatal(err)
					}
				} // a network is back by itself
				for _, id := range ids {
					if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 || r.PossibleDuplicate {
						t.Fatalf("got %+v %+v", r, r.Error)
					}
				}
				if l.fake.Repeats() != 0 {
					t.Errorf("%d questions were asked again", l.fake.Repeats())
				}
				awaittest.Until(t, "the pause to be over", func() bool { return len(l.paused()) == 0 && !l.queue().Paused })
			})
		})
	}
}

// One machine without a network holds up nobody else: after one pause that a probe of the other ends, it takes no tasks.
func TestAwayAlone(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t), cozetest.With(cozetest.Config{Latency: 20 * time.Millisecond}))
	d := new(dialer)
	d.away.Store(true)
	held := make(chan struct{})
	seen := &waitFor{text: "other workers reach Coze and this one does not", met: held}
	l.work(func(c *worker.Config) {
		c.Concurrency, c.Coze.HTTP, c.Logger = 4, d.client(), slog.New(slog.NewTextHandler(seen, nil))
	})
	l.work(func(c *worker.Config) { c.Concurrency = 1 })
	deadline := time.Now().Add(2 * time.Minute) // the first pause alone may take 20 s: its first probe may be of the one cut off
	for time.Now().Before(deadline) {
		// More than the other does while this one lets it go first.
		var ids []string
		for i := range 20 {
			ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{}))
		}
		for _, id := range ids {
			if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 {
				t.Fatalf("got %+v %+v", r, r.Error)
			}
		}
		select {
		case <-held:
			return
		default:
		}
	}
	t.Fatal("the process without a network goes on taking tasks")
}

// waitFor closes met when a line has the text.
type waitFor struct {
	text string
	met  chan struct{}
	done atomic.Bool
}

func (w *waitFor) Write(b []byte) (int, error) {
	if strings.Contains(string(b), w.text) && !w.done.Swap(true) {
		close(w.met)
	}
	return len(b), nil
}

// TestAlike has all of a bot's questions fail with a code that nobody knows. The first ten tell that it is not they; a
// bot that has answered, in an earlier process too, goes on.
func TestAlike(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		fail := func(code int) {
			l.rules(cozetest.Rule{Contains: "bad", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: code}})
		}
		fail(4998)
		one := func(c *worker.Config) { c.Concurrency = 1 }
		stop := l.work(one)
		var ids []string
		for i := range 30 {
			ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("bad ", i)), tasks.Options{}))
		}
		awaittest.Until(t, "the pause", func() bool {
			p := l.paused()
			return len(p) == 1 && p[0].BotID == "bot" && p[0].Code == 4998 && strings.Contains(p[0].Message, "the first 10 questions all failed so") &&
				p[0].Aside == 20
		})
		if n := l.queue().Archived; n != 10 {
			t.Errorf("%d failed, want 10", n)
		}
		// A probe that meets another code tells that the questions are to blame, or are not all.
		fail(4997)
		l.probe()
		awaittest.Until(t, "the probe to end the pause", func() bool { p := l.paused(); return len(p) == 0 || p[0].Code == 4997 })
		l.rules()
		awaittest.Until(t, "the end of the pause", func() bool {
			_, err := worker.ProbeNow(t.Context(), l.rdb)
			return err == nil && len(l.paused()) == 0
		})
		for _, id := range ids {
			if r := l.wait(id); r.Status == results.Failed && r.Error.Code != 4998 && r.Error.Code != 4997 {
				t.Errorf("got %+v", r.Error)
			}
		}
		stop()

		if r := l.askAlone("good"); r.Status != results.Completed {
			t.Fatalf("got %+v", r.Error)
		}
		fail(4998)
		l.work(one) // a process that has seen no answer itself
		ids = nil
		for i := range 12 {
			ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("bad again ", i)), tasks.Options{}))
		}
		for _, id := range ids {
			if r := l.wait(id); r.Status != results.Failed || r.Error.Code != 4998 {
				t.Errorf("got %+v", r)
			}
		}
	})
}

// TestAlikeAtAGateway: a gateway that answers for Coze fails the first questions only.
func TestAlikeAtAGateway(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.rules(cozetest.Rule{Fault: cozetest.Fault{Kind: cozetest.Gateway, Status: 502}})
	l.work(func(c *worker.Config) { c.Concurrency = 10 })
	var ids []string
	for i := range 30 {
		ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{Attempts: 1}))
	}
	awaittest.Until(t, "the pause", func() bool {
		p := l.paused()
		return len(p) == 1 && p[0].BotID == "bot" && strings.Contains(p[0].Message, "the first 10 questions all failed so")
	})
	l.rules()
	awaittest.Until(t, "the end of the pause", func() bool {
		_, err := worker.ProbeNow(t.Context(), l.rdb)
		return err == nil && len(l.paused()) == 0
	})
	failed := 0
	for _, id := range ids {
		if l.wait(id).Status == results.Failed {
			failed++
		}
	}
	if failed < 10 || failed > 20 { // the last of the ten may find others asked
		t.Errorf("%d failed, want 10 to 20", failed)
	}
}

// askAlone asks through a worker of its own.
func (l *line) askAlone(question string) *results.Result {
	l.t.Helper()
	stop := l.work(func(c *worker.Config) { c.Concurrency = 1 })
	defer stop()
	return l.ask(question)
}
