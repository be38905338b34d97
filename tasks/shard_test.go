package tasks_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/tasks"
)

func TestShards(t *testing.T) {
	tests := []struct {
		name string
		want []string
	}{
		{"default", []string{"default"}},
		{"default/1", []string{"default-0"}},
		{"default/3", []string{"default-0", "default-1", "default-2"}},
		{"a-1/2", []string{"a-1-0", "a-1-1"}},
		{"", nil},
		{"/3", nil},
		{"default/", nil},
		{"default/0", nil},
		{"default/-1", nil},
		{"default/03", nil},
		{"default/1001", nil},
		{"default/3/3", nil},
		{"Default/3", nil},
		{"default-{0}", nil},
	}
	for _, tt := range tests {
		got, err := tasks.Shards(tt.name)
		if _, invalid := errors.AsType[*tasks.InvalidError](err); invalid != (tt.want == nil) || !slices.Equal(got, tt.want) {
			t.Errorf("Shards(%q) = %q, %v; want %q", tt.name, got, err, tt.want)
		}
		one, err := tasks.Shard(tt.name, "key")
		if (err != nil) != (tt.want == nil) || err == nil && !slices.Contains(tt.want, one) {
			t.Errorf("Shard(%q) = %q, %v; want one of %q", tt.name, one, err, tt.want)
		}
	}
}

// Where a key belongs is a promise: producers of several versions and languages work
// on one conversation.
func TestShardIsForGood(t *testing.T) {
	for key, want := range map[string]string{
		"":                           "default-5",
		"key:bot:talk":               "default-1",
		"id:7300000000000000001":     "default-3",
		"0199f0e2-5f4c-7000-8000-01": "default-7",
		"对话":                         "default-4",
	} {
		if got, err := tasks.Shard("default/8", key); err != nil || got != want {
			t.Errorf("%q is in %s, %v; want %s", key, got, err, want)
		}
	}
}

func TestShardsAreEven(t *testing.T) {
	const keys, n = 80_000, 16
	count := map[string]int{}
	for i := range keys {
		name, err := tasks.Shard(fmt.Sprint("default/", n), fmt.Sprint("key:bot:user-", i))
		if err != nil {
			t.Fatal(err)
		}
		count[name]++
	}
	for name, got := range count {
		if want := keys / n; got < want*9/10 || got > want*11/10 {
			t.Errorf("%s has %d of %d keys, want about %d", name, got, keys, want)
		}
	}
}

// TestEnqueueIntoShards spreads conversations over the queues that one name stands
// for, and keeps each in one.
func TestEnqueueIntoShards(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		queues := map[string]bool{}
		for i := range 40 {
			for turns := range 2 {
				id := fmt.Sprintf("%d-%d", i, turns)
				chat := tasktest.Turn(fmt.Sprint("talk ", i))
				if _, err := l.Tasks.Enqueue(t.Context(), chat, tasks.Options{ID: id, Queue: "default/4"}); err != nil {
					t.Fatal(err)
				}
				want, err := tasks.Shard("default/4", chat.Lane())
				l.Must(err)
				r, err := l.Store.Get(t.Context(), id)
				l.Must(err)
				if r.Queue != want {
					t.Errorf("turn %d of talk %d is in %s, want %s", turns, i, r.Queue, want)
				}
				if _, err := l.Inspector.GetTaskInfo(want, id); err != nil {
					t.Errorf("%s in %s: %v", id, want, err)
				}
				queues[r.Queue] = true
			}
		}
		if len(queues) != 4 {
			t.Errorf("%d queues, want all 4", len(queues))
		}
		// Without a conversation it is the id that decides.
		l.Must(func() error {
			_, err := l.Tasks.Enqueue(t.Context(), tasks.Ask("bot", "why?"), tasks.Options{ID: "alone", Queue: "default/4"})
			return err
		}())
		want, err := tasks.Shard("default/4", "alone")
		l.Must(err)
		if _, err := l.Inspector.GetTaskInfo(want, "alone"); err != nil {
			t.Error(err)
		}
	})
}
