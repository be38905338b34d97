package sse_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/sse"
)

// serve answers one request over an unbuffered connection and returns the client's end, before it has read anything.
func serve(t *testing.T, handler http.HandlerFunc) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	l := &oneConn{conn: server, done: make(chan struct{})}
	s := &http.Server{Handler: handler, ReadTimeout: time.Second, WriteTimeout: time.Second}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		client.Close()
		s.Close()
		<-done
	})
	if _, err := io.WriteString(client, "GET / HTTP/1.0\r\n\r\n"); err != nil { // 1.0: the body is not in chunks
		t.Fatal(err)
	}
	return client
}

type oneConn struct {
	conn net.Conn
	once sync.Once
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }

// body reads the answer to its end, and checks its headers.
func body(t *testing.T, r io.Reader) string {
	t.Helper()
	all, _ := io.ReadAll(r) // a stream that was ended has an error
	head, body, ok := strings.Cut(string(all), "\r\n\r\n")
	for _, want := range []string{"HTTP/1.0 200", "Content-Type: text/event-stream\r\n", "Cache-Control: no-store\r\n", "X-Accel-Buffering: no\r\n"} {
		if !strings.Contains(head, want) || !ok {
			t.Errorf("no %q in %q", want, head)
		}
	}
	return body
}

func start(t *testing.T, w http.ResponseWriter, r *http.Request) *sse.Writer {
	t.Helper()
	s, err := sse.Start(w, r)
	if err != nil {
		t.Error(err)
		panic(http.ErrAbortHandler)
	}
	return s
}

// Longer than the server's own time for a request, and with silence on the way.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := body(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			s := start(t, w, r)
			defer s.Close()
			for _, send := range []func() error{
				func() error { return s.Event("", "status", []byte(`{"status":"queued"}`)) },
				func() error { time.Sleep(40 * time.Second); return r.Context().Err() },
				func() error { return s.Event("1-0", "delta", []byte("two\nlines\r\n and\ra third")) },
				func() error { return s.Data(nil) },
				func() error { time.Sleep(14 * time.Second); return s.Data([]byte("[DONE]")) },
			} {
				if err := send(); err != nil {
					t.Error(err)
				}
			}
		}))
		want := "retry: 2000\nevent: status\ndata: {\"status\":\"queued\"}\n\n: keep-alive\n: keep-alive\n" +
			"id: 1-0\nevent: delta\ndata: two\ndata: lines\ndata:  and\ndata: a third\n\ndata: \n\ndata: [DONE]\n\n"
		if got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}

// The end of OpenAI's streams has no retry: an event without data is an error to its SDKs.
func TestDataAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := body(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			s := start(t, w, r)
			defer s.Close()
			time.Sleep(16 * time.Second)
			_ = s.Data([]byte("{}"))
		}))
		if want := ": keep-alive\ndata: {}\n\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A reader that does not read ends the stream: by an event, or by the heartbeat where nothing happens.
func TestSlowReader(t *testing.T) {
	for name, send := range map[string]func(s *sse.Writer, r *http.Request) error{
		"event": func(s *sse.Writer, _ *http.Request) error { return s.Event("1-0", "delta", []byte("An")) },
		"heartbeat": func(s *sse.Writer, r *http.Request) error {
			<-r.Context().Done()
			return s.Data(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failed := make(chan error, 2)
				conn := serve(t, func(w http.ResponseWriter, r *http.Request) {
					s := start(t, w, r)
					defer s.Close()
					failed <- send(s, r)
					failed <- s.Event("2-0", "delta", nil)
				})
				if n, err := conn.Read(make([]byte, 4096)); n == 0 || err != nil { // the headers
					t.Fatal(n, err)
				}
				for range 2 {
					if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got %v", err)
					}
				}
			})
		})
	}
}

func TestBadField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := body(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			s := start(t, w, r)
			for _, bad := range []string{"a\nb", "a\rb", "a\x00b"} {
				if s.Event(bad, "", nil) == nil || s.Event("", bad, nil) == nil {
					t.Errorf("%q was sent", bad)
				}
			}
			s.Close()
			if err := s.Event("", "", nil); !errors.Is(err, sse.ErrClosed) {
				t.Errorf("got %v", err)
			}
			s.Close()
		}))
		if got != "" {
			t.Errorf("got %q", got)
		}
	})
}

// hidden is a middleware that forgot Unwrap.
type hidden struct{ http.ResponseWriter }

func TestRefused(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	rec := httptest.NewRecorder()
	if _, err := sse.Start(hidden{rec}, r); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sse.Start(rec, r.WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(rec.Header()) > 0 {
		t.Errorf("headers %v: the handler has nothing left to answer with", rec.Header())
	}
}

func TestLastEventID(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/?last_event_id=1-0", nil)
	if got := sse.LastEventID(r); got != "1-0" {
		t.Errorf("got %q", got)
	}
	r.Header.Set("Last-Event-ID", "2-0")
	if got := sse.LastEventID(r); got != "2-0" {
		t.Errorf("got %q", got)
	}
}

// buffer is the other end of a fuzzed stream.
type buffer struct {
	strings.Builder
	head http.Header
}

func (b *buffer) Header() http.Header              { return b.head }
func (b *buffer) WriteHeader(int)                  {}
func (b *buffer) Flush()                           {}
func (b *buffer) SetReadDeadline(time.Time) error  { return nil }
func (b *buffer) SetWriteDeadline(time.Time) error { return nil }

func FuzzEvent(f *testing.F) {
	f.Add("1-0", "delta", "An")
	f.Add("", "", "")
	f.Add("1-0", "end", "a\nb\r\n\r\rc\n")
	f.Add("a\nb", " event: x", "\x00: \xff")
	f.Add(" 1", "e\x00", "id: 7\n\ndata: x")
	f.Fuzz(func(t *testing.T, id, name, data string) {
		b := &buffer{head: make(http.Header)}
		s, err := sse.Start(b, httptest.NewRequest(http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)
		var want []event
		if err := s.Event(id, name, []byte(data)); err == nil {
			want = append(want, event{id, name, lines})
		} else if !strings.ContainsAny(id+name, "\r\n\x00") {
			t.Fatal(err)
		} else {
			id = ""
		}
		if err := s.Data([]byte(data)); err != nil {
			t.Fatal(err)
		}
		if err := s.Event("9", "end", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		s.Close()
		want = append(want, event{id, "", lines}, event{"9", "end", "{}"})
		if len(want) == 2 {
			// The first event that was written has the retry, and the strict reader wants it before all others.
			b2 := strings.Replace(b.String(), "retry: 2000\n", "", 1)
			b = &buffer{}
			b.WriteString(b2)
		}
		got, comments := read(t, strings.NewReader(b.String()))
		if !slices.Equal(got, want) || comments != 0 {
			t.Errorf("%q was read as %q, want %q", b.String(), got, want)
		}
	})
}
