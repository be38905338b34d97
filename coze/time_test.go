package coze_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// piped is a client over net/http's own transport whose every connection is served by script: real HTTP, no sockets,
// so that it lives in a bubble of synctest.
func piped(t *testing.T, script func(w io.Writer)) *coze.Client {
	var served sync.WaitGroup
	t.Cleanup(served.Wait)
	transport := coze.NewTransport(1)
	transport.Proxy = nil
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		served.Go(func() {
			defer theirs.Close()
			req, err := http.ReadRequest(bufio.NewReader(theirs))
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			script(theirs)
		})
		return ours, nil
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &coze.Client{BaseURL: "http://coze.test", Auth: coze.StaticToken("t"), HTTP: &http.Client{Transport: transport}, Idle: 2 * time.Minute}
}

const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

func write(w io.Writer, s string) bool {
	_, err := io.WriteString(w, s)
	return err == nil
}

// Transcript 35: created, then silence.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		c := piped(t, func(w io.Writer) { write(w, head+created); <-hold })
		defer close(hold)
		start := time.Now()
		got := listen(t, c, false)
		check(t, got.err, coze.ClassTimeout, coze.ZoneCreated, false, 0)
		if !errors.Is(got.err, coze.ErrIdle) || time.Since(start) != 2*time.Minute {
			t.Errorf("error %v after %v", got.err, time.Since(start))
		}
	})
}

// Silence before the headers is silence too, and nobody knows what came of the question.
func TestIdleBeforeHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		c := piped(t, func(io.Writer) { <-hold })
		defer close(hold)
		for idle, wait := range map[time.Duration]time.Duration{45 * time.Second: 45 * time.Second, 2 * time.Minute: time.Minute} {
			c.Idle = idle
			start := time.Now()
			_, err := c.Stream(t.Context(), question())
			e := typed(t, err)
			check(t, e, coze.ClassTransient, coze.ZoneUnknown, false, 0)
			if !errors.Is(err, coze.ErrNoReply) || !e.Unreached || time.Since(start) != wait {
				t.Errorf("chat: %v after %v", err, time.Since(start))
			}
		}
		start := time.Now()
		_, err := c.RetrieveChat(t.Context(), "1", "2")
		if e := typed(t, err); !errors.Is(err, coze.ErrNoReply) || !e.Unreached || e.ChatID != "2" || time.Since(start) != 30*time.Second {
			t.Errorf("retrieve: %v after %v", err, time.Since(start))
		}
	})
}

// Transcript 36: comments and pings every ten seconds are no progress.
func TestCommentsAreNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(w io.Writer) {
			for write(w, head+created); write(w, ":still here\n\nevent: PING\ndata: {}\n\n"); {
				time.Sleep(10 * time.Second)
			}
		})
		start := time.Now()
		got := listen(t, c, false)
		if !errors.Is(got.err, coze.ErrIdle) || time.Since(start) != 2*time.Minute {
			t.Errorf("error %v after %v", got.err, time.Since(start))
		}
	})
}

// An answer that takes far longer than Idle is fine as long as something comes, and so is a slow consumer.
func TestSlowIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(w io.Writer) {
			write(w, head+created)
			for range 20 {
				time.Sleep(time.Minute)
				write(w, delta1)
			}
			write(w, answered+completed+done)
		})
		s, err := c.Stream(t.Context(), question())
		if err != nil {
			t.Fatal(err)
		}
		var chat coze.Chat
		for event, err := range s.Events() {
			if err != nil {
				t.Fatal(err)
			}
			chat.Accumulate(event)
			time.Sleep(10 * time.Minute) // the consumer's own time
		}
		if chat.Answer() != answer {
			t.Errorf("answer %q", chat.Answer())
		}
	})
}

// A server that keeps the connection open after the terminal event, or after done, delays the answer by a second at most.
func TestTail(t *testing.T) {
	for name, body := range map[string]string{"done": completed + done, "no done": completed, "endless deltas": completed + delta1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				c := piped(t, func(w io.Writer) { write(w, head+created+answered+body); <-hold })
				defer close(hold)
				start := time.Now()
				got := listen(t, c, false)
				if got.err != nil || got.chat.Answer() != answer || time.Since(start) != time.Second {
					t.Errorf("error %v, answer %q, after %v", got.err, got.chat.Answer(), time.Since(start))
				}
			})
		})
	}
}

var errShutdown = errors.New("the worker stops")

func TestContext(t *testing.T) {
	tests := map[string]struct {
		end   func(context.Context) (context.Context, context.CancelFunc)
		class coze.Class
		is    []error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second)
		}, coze.ClassTimeout, []error{context.DeadlineExceeded}},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(5*time.Second, cancel)
			return ctx, cancel
		}, coze.ClassCanceled, []error{context.Canceled}},
		"cause": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(5*time.Second, func() { cancel(errShutdown) })
			return ctx, func() { cancel(nil) }
		}, coze.ClassCanceled, []error{context.Canceled, errShutdown}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				defer close(hold)
				ctx, cancel := tt.end(t.Context())
				defer cancel()
				s, err := piped(t, func(w io.Writer) { write(w, head+created); <-hold }).Stream(ctx, question())
				if err != nil {
					t.Fatal(err)
				}
				var last error
				for _, err := range s.Events() {
					last = err
				}
				check(t, typed(t, last), tt.class, coze.ZoneCreated, false, 0)
				for _, want := range tt.is {
					if !errors.Is(last, want) {
						t.Errorf("%v is not %v", last, want)
					}
				}
				_, err = piped(t, func(io.Writer) {}).Stream(ctx, question())
				check(t, typed(t, err), tt.class, coze.ZoneRefused, false, 0)
			})
		})
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		defer close(hold)
		s, err := piped(t, func(w io.Writer) { write(w, head+created); <-hold }).Stream(t.Context(), question())
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { s.Close() })
		var last error
		for _, err := range s.Events() {
			last = err
		}
		check(t, typed(t, last), coze.ClassCanceled, coze.ZoneCreated, false, 0)
		s.Close()
		for _, err := range s.Events() {
			if typed(t, err).Class != coze.ClassInvalid {
				t.Errorf("a second reading: %v", err)
			}
		}
	})
}

func TestBreakEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		s, err := piped(t, func(w io.Writer) {
			defer close(gone)
			for write(w, head+created); write(w, delta1); {
			}
		}).Stream(t.Context(), question())
		if err != nil {
			t.Fatal(err)
		}
		for range s.Events() {
			break
		}
		<-gone // the server's writes fail: nobody holds the connection
	})
}
