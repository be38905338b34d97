package coze_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
)

var errTaken = errors.New("somebody else has the task")

// passOn is a transport that is not net/http's.
type passOn struct{ http.RoundTripper }

// Without consent no question is completed: refused at its beginning or in its middle, over any transport.
func TestLeave(t *testing.T) {
	large := strings.Repeat("why? ", 40<<10)
	for name, tt := range map[string]struct {
		http2, foreign bool
		question       string
		calls          int32 // of BeforeSend, until it refuses
	}{
		"HTTP/1, small":                 {question: "why?", calls: 1},
		"HTTP/1, large":                 {question: large, calls: 1},
		"HTTP/1, large, in its middle":  {question: large, calls: 5},
		"HTTP/2, small":                 {http2: true, question: "why?", calls: 1},
		"HTTP/2, large, in its middle":  {http2: true, question: large, calls: 5},
		"another transport, small":      {foreign: true, question: "why?", calls: 1},
		"another transport, in the mid": {foreign: true, question: large, calls: 5},
	} {
		t.Run(name, func(t *testing.T) {
			var whole atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err == nil && int64(len(body)) == r.ContentLength {
					whole.Add(1)
				}
				w.Header().Set("Content-Type", js)
				_, _ = io.WriteString(w, refusal(5000))
			}))
			server.EnableHTTP2 = tt.http2
			server.StartTLS()
			defer server.Close()
			client := server.Client()
			if tt.foreign {
				client.Transport = passOn{client.Transport}
			}
			c := &coze.Client{BaseURL: server.URL, Auth: coze.StaticToken("t"), HTTP: client}
			ask := func(consent func() error) *coze.Error {
				_, err := c.Stream(t.Context(), &coze.ChatRequest{
					BotID: "b", UserID: "u", AdditionalMessages: []coze.Message{coze.UserText(tt.question)}, BeforeSend: consent,
				})
				return typed(t, err)
			}
			given := int32(0)
			if e := ask(func() error { given++; return nil }); e.Code != 5000 || whole.Load() != 1 || given < tt.calls {
				t.Fatalf("with consent: %v, %d questions, BeforeSend called %d times", e, whole.Load(), given)
			}
			for range 2 { // the second on a connection of its own
				calls := int32(0)
				e := ask(func() error {
					if calls++; calls >= tt.calls {
						return errTaken
					}
					return nil
				})
				if e.Zone != coze.ZoneRefused || !errors.Is(e, errTaken) || calls != tt.calls {
					t.Errorf("%v, zone %v, BeforeSend called %d times", e, e.Zone, calls)
				}
			}
			if e := ask(nil); e.Code != 5000 {
				t.Errorf("afterwards: %v", e)
			}
			if n := whole.Load(); n != 2 {
				t.Errorf("%d questions arrived, want 2", n)
			}
		})
	}
}

// A process that stands still between the consent and the bytes sends nothing when it wakes.
func TestStoodStill(t *testing.T) {
	for _, size := range []int{1, 100 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				c := piped(t, func(w io.Writer) { asked.Add(1); write(w, head+whole) })
				ask := func(stop time.Duration) error {
					// The caller's hooks run after the client's: the consent has just been given.
					ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
						GotConn: func(httptrace.GotConnInfo) { time.Sleep(stop) },
					})
					s, err := c.Stream(ctx, &coze.ChatRequest{
						BotID: "b", UserID: "u", AdditionalMessages: []coze.Message{coze.UserText(strings.Repeat("?", size))},
						BeforeSend: func() error { return nil },
					})
					if err == nil {
						for range s.Events() {
						}
					}
					return err
				}
				for range 2 { // the first is read in pieces, as it is not known yet that this is HTTP/1
					if err := ask(coze.ConsentTime / 2); err != nil {
						t.Fatal(err)
					}
					if e := typed(t, ask(2*coze.ConsentTime)); e.Zone != coze.ZoneRefused || !errors.Is(e, coze.ErrStoodStill) {
						t.Errorf("%v, zone %v", e, e.Zone)
					}
				}
				if n := asked.Load(); n != 2 {
					t.Errorf("%d questions arrived, want 2", n)
				}
			})
		})
	}
}

// What consent costs: a small question still goes out in one write, once the client knows that the server speaks HTTP/1.
func TestOneWriteWithConsent(t *testing.T) {
	c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, whole)
	})
	writes := countWrites(t, c)
	for _, want := range []int32{2, 1, 1} {
		writes.Store(0)
		q := question()
		q.BeforeSend = func() error { return nil }
		s, err := c.Stream(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range s.Events() {
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := writes.Load(); n != want {
			t.Errorf("%d writes, want %d", n, want)
		}
	}
}
