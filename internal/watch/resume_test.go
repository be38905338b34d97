package watch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

// Redis goes away when all pieces of an answer were told, and only its end was not. It is waited for.
func TestAwayBeforeEnd(t *testing.T) {
	rdb := redistest.Embedded(t)
	h := newHouse(t, rdb)
	h.create("t1")
	a := h.begin("t1")
	h.write(a, "The ", "answer")
	h.finish(a, "The answer", true)
	want := h.watch(t.Context(), "t1", "")
	var hook awayOnce
	got := newHouse(t, redistest.Hooked(t, rdb, &hook)).watch(t.Context(), "t1", "")
	if got.err != nil || !slices.Equal(got.said, want.said) || !hook.was.Load() {
		t.Errorf("got %q, %v, want %q", got.said, got.err, want.said)
	}
}

// awayOnce is a Redis that does not answer the first question for the end of a stream.
type awayOnce struct{ was atomic.Bool }

func (a *awayOnce) DialHook(next redis.DialHook) redis.DialHook { return next }
func (a *awayOnce) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "xrevrange" && !a.was.Swap(true) {
			cmd.SetErr(io.EOF)
			return io.EOF
		}
		return next(ctx, cmd)
	}
}
func (a *awayOnce) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Whoever comes back at any event of a stream, by another process, gets what is behind it: nothing twice, nothing missing.
// So does one that comes back while the task still runs.
func TestResume(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		h := newHouse(t, rdb)
		h.create("t1")
		a := h.begin("t1")
		for i := range 210 { // more than one read takes
			h.write(a, fmt.Sprint(i))
		}
		h.write(a, "|", "The ", "answer")
		half := h.follow("t1", "")
		var whole watched
		running := make(map[string]<-chan string)
		for e, err := range h.hub.Watch(t.Context(), "t1", "") {
			if err != nil {
				t.Fatal(err)
			}
			whole.said, whole.ids = append(whole.said, say(e)), append(whole.ids, e.ID)
			if n := len(whole.ids); n%20 == 2 && e.ID != "" {
				running[e.ID] = newHouse(t, rdb).follow("t1", e.ID)
				expect(t, running[e.ID], "running")
			}
			if e.Text == "answer" {
				go h.finish(a, "The answer", true)
			}
		}
		if whole.said[0] != "running" || len(whole.said) != 1+213+1 {
			t.Fatalf("got %q", whole.said)
		}
		expect(t, half, whole.said...)
		other := newHouse(t, rdb)
		for i, id := range whole.ids[1 : len(whole.ids)-1] {
			want := whole.said[i+2:]
			if got := other.watch(t.Context(), "t1", id); !slices.Equal(got.said, want) || got.err != nil {
				t.Fatalf("behind %s: %q, %v, want %q", id, got.said, got.err, want)
			}
			if said := running[id]; said != nil {
				expect(t, said, want...)
			}
		}
		if got := other.watch(t.Context(), "t1", whole.ids[len(whole.ids)-1]); !errors.Is(got.err, watch.ErrEnded) || got.said != nil {
			t.Errorf("behind the end: %q, %v", got.said, got.err)
		}
	})
}

// An answer that is longer than what is kept.
func TestCut(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const written = 4096 + 600
		h := newHouse(t, rdb)
		h.create("t1")
		a := h.begin("t1")
		h.write(a, "0 ")
		var first string
		for e := range h.hub.Watch(t.Context(), "t1", "") {
			if first = e.ID; first != "" {
				break
			}
		}
		slow := make(chan string)
		go func() {
			defer close(slow)
			for e := range h.hub.Watch(t.Context(), "t1", "") {
				slow <- say(e)
			}
		}()
		expect(t, slow, "running", "'0 '")
		var answer strings.Builder
		answer.WriteString("0 ")
		for i := 1; i < written; i++ {
			piece := fmt.Sprint(i, " ")
			answer.WriteString(piece)
			h.write(a, piece)
		}
		last := fmt.Sprintf("'%d '", written-1)
		for name, after := range map[string]string{"from the start": "", "from a piece that is gone": first} {
			said := h.follow("t1", after)
			if after != "" {
				expect(t, said, "running", "|", "gap")
			} else {
				expect(t, said, "running", "gap")
			}
			n := 1
			for piece := range said {
				if n++; piece == last {
					break
				}
			}
			if n < 4000 {
				t.Errorf("%s: %d pieces", name, n)
			}
		}
		// The slow one has some in its buffer, and then finds that it missed some.
		for want := 1; ; want++ {
			piece := <-slow
			if piece == "|" {
				expect(t, slow, "gap")
				break
			}
			if piece != fmt.Sprintf("'%d '", want) {
				t.Fatalf("%q, want %d", piece, want)
			}
		}
		h.finish(a, answer.String(), true)
		for range slow {
		}
		for name, after := range map[string]string{"from the start": "", "from a piece that is gone": first} {
			want := []string{"|", "'" + answer.String() + "'", "end: " + answer.String()}
			if got := h.watch(t.Context(), "t1", after); !slices.Equal(got.said, want) || got.err != nil || got.ids[2] == "" {
				t.Errorf("%s, ended: %d events, %v", name, len(got.said), got.err)
			}
		}
	})
}

// Tasks that end without a piece: canceled before they were asked, without stream, or kept no longer than their record.
func TestEndWithoutStream(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		h := newHouse(t, rdb)
		h.create("canceled", "plain", "gone")
		canceled, plain := h.follow("canceled", ""), h.follow("plain", "")
		expect(t, canceled, "queued")
		expect(t, plain, "queued")
		if _, err := h.records.Cancel(t.Context(), "canceled"); err != nil {
			t.Fatal(err)
		}
		expect(t, canceled, "end: ")
		h.finish(h.begin("plain"), "An answer", false)
		for said := range plain {
			if said != "running" && said != "end: An answer" {
				t.Errorf("got %q", said)
			}
		}
		a := h.begin("gone")
		h.write(a, "An")
		var piece string
		for e := range h.hub.Watch(t.Context(), "gone", "") {
			if piece = e.ID; piece != "" {
				break
			}
		}
		h.finish(a, "An answer", true)
		if err := rdb.Del(t.Context(), results.DeltasKey("gone")).Err(); err != nil {
			t.Fatal(err)
		}
		for id, after := range map[string]string{"canceled": "", "plain": "", "gone": piece} {
			first, again := h.watch(t.Context(), id, after), newHouse(t, rdb).watch(t.Context(), id, after)
			if len(first.said) != 1 || first.err != nil || first.ids[0] == "" || !slices.Equal(first.ids, again.ids) {
				t.Errorf("%s: %q %q %v, and then %q", id, first.said, first.ids, first.err, again.ids)
				continue
			}
			if got := h.watch(t.Context(), id, first.ids[0]); !errors.Is(got.err, watch.ErrEnded) || got.said != nil {
				t.Errorf("%s, behind the end: %q, %v", id, got.said, got.err)
			}
		}
	})
}

func TestBadStart(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		h := newHouse(t, rdb)
		h.create("t1")
		a := h.begin("t1")
		h.write(a, "An")
		for _, id := range []string{"", "1-0"} {
			if got := h.watch(t.Context(), "nobody", id); !errors.Is(got.err, results.ErrNotFound) {
				t.Errorf("nobody: %v", got.err)
			}
		}
		for _, id := range []string{"x", "1", "-", "1-", "-1-0", "01-0", "1-0-0", "99999999999999999999-0", " 1-0"} {
			got := h.watch(t.Context(), "t1", id)
			if e, ok := errors.AsType[*watch.IDError](got.err); !ok || e.ID != id {
				t.Errorf("%q: %v", id, got.err)
			}
		}
		// An id of the future, of a Redis that has lost what it had: all is told anew.
		said := h.follow("t1", "9999999999999-0")
		expect(t, said, "running", "|", "'An'")
		h.finish(a, "An", true)
		expect(t, said, "end: An")
		if got := h.watch(t.Context(), "t1", "9999999999999-0"); !slices.Equal(got.said, []string{"|", "'An'", "end: An"}) || got.err != nil {
			t.Errorf("got %q, %v", got.said, got.err)
		}
	})
}

// The status of a task without stream is not published: it is read now and then.
func TestStatusUnpublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, redistest.Embedded(t))
		h.create("t1")
		said := h.follow("t1", "")
		expect(t, said, "queued")
		a, err := h.records.Begin(t.Context(), results.Result{ID: "t1"}, false)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, said, "running")
		h.finish(a, "yes", false)
		expect(t, said, "end: yes")
	})
}
