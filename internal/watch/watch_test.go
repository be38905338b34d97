package watch_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

func TestWatch(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		h := newHouse(t, rdb)
		h.create("t1")
		early := h.follow("t1", "")
		expect(t, early, "queued")
		a := h.begin("t1")
		expect(t, early, "running")
		h.write(a, "An")
		expect(t, early, "'An'")
		second := h.follow("t1", "") // somebody watches already
		expect(t, second, "running", "'An'")
		h.write(a, "swer")
		expect(t, early, "'swer'")
		expect(t, second, "'swer'")
		if err := a.Wait(t.Context(), &results.Failure{Class: "rate", Message: "too many"}); err != nil {
			t.Fatal(err)
		}
		h.announce("t1")

		expect(t, early, "waiting: too many")
		expect(t, second, "waiting: too many")

		b := h.begin("t1") // another worker goes on
		expect(t, early, "running")
		expect(t, second, "running")
		h.write(b, "The ", "answer")
		h.finish(b, "The answer", true)
		for _, said := range []<-chan string{early, second} {
			expect(t, said, "|", "'The '", "'answer'", "end: The answer")
			if more, open := <-said; open {
				t.Errorf("%q behind the end", more)
			}
		}
		want := []string{"'An'", "'swer'", "|", "'The '", "'answer'", "end: The answer"}
		if got := h.watch(t.Context(), "t1", ""); !slices.Equal(got.said, want) || got.err != nil {
			t.Errorf("who came late got %q, %v", got.said, got.err)
		}
	})
}

// Two deaths of a worker, as a watcher sees them: one in the middle of an answer, and one that has begun it anew.
func TestTakenOver(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		h := newHouse(t, rdb)
		h.create("t1")
		h.write(h.begin("t1"), "An", "swer")
		h.write(h.begin("t1"), "|")
		last := h.begin("t1")
		h.write(last, "|", "The ", "answer")
		h.finish(last, "The answer", true)
		want := []string{"'An'", "'swer'", "|", "'The '", "'answer'", "end: The answer"}
		if got := h.watch(t.Context(), "t1", ""); !slices.Equal(got.said, want) || got.err != nil {
			t.Errorf("got %q, %v", got.said, got.err)
		}
	})
}

// A failed task that an operator runs again has an answer of its own.
func TestReopened(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		h := newHouse(t, rdb)
		h.create("t1")
		a := h.begin("t1")
		h.write(a, "An")
		a.Result.Status, a.Result.Error = results.Failed, &results.Failure{Class: "transient", Message: "no luck"}
		if err := a.Finish(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		first := h.watch(t.Context(), "t1", "")
		if err := h.records.Reopen(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		said := h.follow("t1", first.ids[len(first.ids)-1])
		expect(t, said, "queued", "|")
		b := h.begin("t1")
		expect(t, said, "running")
		h.write(b, "Yes")
		h.finish(b, "Yes", true)
		expect(t, said, "'Yes'", "end: Yes")
	})
}

func TestEncrypted(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		keys, err := results.ParseKeys([]byte("k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
		if err != nil {
			t.Fatal(err)
		}
		h := newHouse(t, rdb)
		h.results.Keys = keys
		h.create("t1")
		spy := rdb.Subscribe(t.Context(), results.DeltasKey("t1"))
		defer spy.Close()
		if _, err := spy.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		said := h.follow("t1", "")
		expect(t, said, "queued")
		a := h.begin("t1")
		expect(t, said, "running")
		h.write(a, "secret")
		expect(t, said, "'secret'")
		h.finish(a, "secret", true)
		expect(t, said, "end: secret")
		for range 3 { // the announcement, the piece, the end
			m, err := spy.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(m.Payload, "secret") {
				t.Errorf("published: %q", m.Payload)
			}
		}

		blind := newHouse(t, rdb)
		got := blind.watch(t.Context(), "t1", "")
		if e, ok := errors.AsType[*results.SealedError](got.err); !ok || e.KeyID != "k1" {
			t.Errorf("without the key: %q, %v", got.said, got.err)
		}
	})
}

// What died between a piece and its reply is sent again: it is there once.
func TestPieceSentTwice(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		lost := &lostReplies{}
		h := newHouse(t, redistest.Hooked(t, rdb, lost))
		h.create("t1")
		a := h.begin("t1")
		for _, piece := range []string{"ha ", "ha ", "ha"} {
			d := record.Delta{Type: record.DeltaText, Text: piece}
			lost.next.Store(true)
			if err := a.Delta(t.Context(), d); err == nil {
				t.Fatal("the reply was not lost")
			}
			if err := a.Delta(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		lost.next.Store(true)
		if err := a.Delta(t.Context(), record.Delta{Type: record.DeltaText, Text: "!"}); err == nil {
			t.Fatal("the reply was not lost")
		}
		h.write(a, "|", "ha ha ha") // it is given up, and the answer told anew
		h.finish(a, "ha ha ha", true)
		want := []string{"'ha '", "'ha '", "'ha'", "'!'", "|", "'ha ha ha'", "end: ha ha ha"}
		if got := h.watch(t.Context(), "t1", ""); !slices.Equal(got.said, want) {
			t.Errorf("got %q", got.said)
		}
	})
}

// lostReplies loses the reply of a script that has run.
type lostReplies struct {
	redis.Hook
	next atomic.Bool
}

func (l *lostReplies) DialHook(next redis.DialHook) redis.DialHook { return next }
func (l *lostReplies) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (l *lostReplies) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && l.next.CompareAndSwap(true, false) {
			cmd.SetErr(io.ErrUnexpectedEOF)
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

func TestGivenUp(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		h := newHouse(t, rdb)
		h.create("t1")
		h.write(h.begin("t1"), "An", "swer")
		for e := range h.hub.Watch(t.Context(), "t1", "") {
			if e.Type == watch.Delta {
				break
			}
		}
		why := errors.New("no more patience")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var last error
		for e, err := range h.hub.Watch(ctx, "t1", "") {
			if last = err; e.Text == "swer" {
				cancel(why)
			}
		}
		if !errors.Is(last, why) {
			t.Errorf("got %v", last)
		}
		closed := make(chan error)
		go func() {
			for e, err := range h.hub.Watch(t.Context(), "t1", "") {
				if e.Text == "swer" {
					go h.hub.Close()
				}
				if err != nil {
					closed <- err
				}
			}
		}()
		if err := <-closed; !errors.Is(err, results.ErrClosed) {
			t.Errorf("got %v", err)
		}
		if got := h.watch(t.Context(), "t1", ""); !errors.Is(got.err, results.ErrClosed) {
			t.Errorf("behind Close: %v", got.err)
		}
	})
}
