package watch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// house is both ends of the tasks in one Redis, and who watches them.
type house struct {
	t       testing.TB
	rdb     redis.UniversalClient
	results *results.Store
	records *record.Store
	hub     *watch.Hub
}

func newHouse(t testing.TB, rdb redis.UniversalClient) *house {
	t.Helper()
	store := results.NewStore(rdb)
	h := &house{t, rdb, store, record.New(store), watch.New(store)}
	t.Cleanup(func() {
		if err := errors.Join(h.hub.Close(), store.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

func (h *house) create(ids ...string) {
	h.t.Helper()
	for _, id := range ids {
		if _, err := h.records.Create(h.t.Context(), record.Entry{Result: results.Result{ID: id, Queue: "default"}}); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) begin(id string) *record.Attempt {
	h.t.Helper()
	a, err := h.records.Begin(h.t.Context(), resultOf(id), false)
	if err != nil {
		h.t.Fatal(err)
	}
	h.announce(id)
	return a
}

func (h *house) announce(id string) {
	h.t.Helper()
	if err := record.Announce(h.t.Context(), h.rdb, id); err != nil {
		h.t.Fatal(err)
	}
}

// write appends pieces, "|" for a reset.
func (h *house) write(a *record.Attempt, pieces ...string) {
	h.t.Helper()
	for _, piece := range pieces {
		d := record.Delta{Type: record.DeltaText, Text: piece}
		if piece == "|" {
			d = record.Delta{Type: record.DeltaReset}
		}
		if err := a.Delta(h.t.Context(), d); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) finish(a *record.Attempt, answer string, stream bool) {
	h.t.Helper()
	a.Result.Status, a.Result.Answer, a.Result.Attempts = results.Completed, answer, 1
	if err := a.Finish(h.t.Context(), stream); err != nil {
		h.t.Fatal(err)
	}
}

// watched is what a watcher is told, in the way that a test reads best: "queued", "'An'", "|" for a reset, "gap",
// "end: The answer".
type watched struct {
	said []string
	ids  []string // of each of them
	err  error
}

func say(e watch.Event) string {
	switch e.Type {
	case watch.Status:
		if e.Why != nil {
			return string(e.Status) + ": " + e.Why.Message
		}
		return string(e.Status)
	case watch.Delta:
		return "'" + e.Text + "'"
	case watch.Reset:
		return "|"
	case watch.End:
		return fmt.Sprintf("%s: %s", e.Type, e.Result.Answer)
	}
	return string(e.Type)
}

// watch watches to the end. It runs in goroutines, too.
func (h *house) watch(ctx context.Context, id, after string) (w watched) {
	for e, err := range h.hub.Watch(ctx, id, after) {
		if err != nil {
			w.err = err
			break
		}
		w.said, w.ids = append(w.said, say(e)), append(w.ids, e.ID)
	}
	return w
}

// follow watches in the background. The channel has what a watcher is told, and is closed behind the end.
func (h *house) follow(id, after string) <-chan string {
	said := make(chan string, 10_000) // no test waits for who says it
	go func() {
		defer close(said)
		for e, err := range h.hub.Watch(h.t.Context(), id, after) {
			if err != nil {
				h.t.Error(err)
				return
			}
			said <- say(e)
		}
	}()
	return said
}

// expect waits until a watcher is told all this next.
func expect(t testing.TB, said <-chan string, want ...string) {
	t.Helper()
	var got []string
	for range want {
		got = append(got, <-said)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func resultOf(id string) results.Result { return results.Result{ID: id, Queue: "default"} }
func textOf(piece string) record.Delta  { return record.Delta{Type: record.DeltaText, Text: piece} }
