package pause_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/redistest"
)

// A question is held if no worker of its queue asks it now.
func TestHolds(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, store := t.Context(), pause.Store{Redis: rdb}
		must(t, pause.NoteServed(ctx, rdb, []string{"default"}, []pause.Served{{ID: "c1"}, {Name: "shop", ID: "c2"}}))
		must(t, pause.NoteServed(ctx, rdb, []string{"low"}, []pause.Served{{ID: "c1"}, {ID: "c3"}}))
		begin(t, store, "c1", "")
		begin(t, store, "c2", "b2")
		for _, tt := range []struct{ queue, credential, bot, want string }{
			{"default", "", "b1", "the credential is paused: no money"},
			{"default", "shop", "b1", ""},
			{"default", "shop", "b2", "bot b2 is paused: no money"},
			{"default", "unknown", "b2", ""},
			{"low", "", "b1", ""}, // the worker with c3 asks it
			{"unserved", "", "b1", ""},
		} {
			held, err := (&pause.Holds{Redis: rdb}).Of(ctx, tt.queue, tt.credential, tt.bot)
			must(t, err)
			if got := reason(held); got != tt.want {
				t.Errorf("%+v: %q", tt, got)
			}
			if held != nil && held.Due {
				t.Errorf("%+v: a probe is due already", tt)
			}
		}
		if _, err := pause.ProbeNow(ctx, rdb); err != nil {
			t.Fatal(err)
		}
		held, err := (&pause.Holds{Redis: rdb}).Of(ctx, "default", "", "b1")
		if must(t, err); held == nil || !held.Due {
			t.Errorf("after ProbeNow: %+v, want it due", held)
		}
		held, err = (&pause.Holds{Redis: rdb}).OfQueue(ctx, "default")
		if must(t, err); reason(held) != "the credential is paused: no money" {
			t.Errorf("default: %q", reason(held))
		}
		if _, err := (asynqx.QueuePauses{Redis: rdb}).OperatorPause(ctx, "low"); err != nil {
			t.Fatal(err)
		}
		for _, of := range []func(*pause.Holds) (*pause.Hold, error){
			func(h *pause.Holds) (*pause.Hold, error) { return h.OfQueue(ctx, "low") },
			func(h *pause.Holds) (*pause.Hold, error) { return h.Of(ctx, "low", "", "b1") },
		} {
			held, err := of(&pause.Holds{Redis: rdb})
			if must(t, err); reason(held) != "queue low is paused by an operator" {
				t.Errorf("low: %q", reason(held))
			}
		}
	})
}

func begin(t *testing.T, store pause.Store, credential, bot string) {
	t.Helper()
	if _, err := store.Begin(context.Background(), credential, bot, &coze.Error{Code: 4028, Class: coze.ClassQuota}, "no money"); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func reason(h *pause.Hold) string {
	if h == nil {
		return ""
	}
	return h.Reason()
}
