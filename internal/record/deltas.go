package record

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// maxDeltas bounds a task's stream of deltas: an answer of 1,200 deltas fits
// three times over, and what is longer loses its beginning, never its end.
const maxDeltas = 4096

// fieldDelta is what a delta is encrypted as.
const fieldDelta = "delta"

// DeltaType says what a Delta means.
type DeltaType string

// The types of deltas.
const (
	DeltaText  DeltaType = "delta" // Text continues the answer
	DeltaReset DeltaType = "reset" // the answer begins anew: forget what came
	DeltaEnd   DeltaType = "end"   // the task has ended: the result holds the answer
)

// Delta is one step of an answer on its way.
type Delta struct {
	Type DeltaType
	Text string
}

// Delta appends to the task's stream of deltas.
func (a *Attempt) Delta(ctx context.Context, d Delta) error {
	id := a.Result.ID
	ok, err := deltaScript.Run(ctx, a.store.rdb, []string{results.Key(id), results.DeltasKey(id)},
		a.owner, seconds(openTTL), maxDeltas, string(d.Type), a.store.results.Keys.Seal(id, fieldDelta, d.Text)).Int()
	if err != nil {
		return fmt.Errorf("delta of %s: %w", id, err)
	}
	if ok == 0 {
		return fmt.Errorf("%s: %w", id, ErrFenced)
	}
	return nil
}

// deltaBlock is how long one read waits for the next delta before the record is
// looked at: a task may end without a stream (canceled before it was asked).
const deltaBlock = 2 * time.Second

// Deltas yields a task's deltas from the first one kept to its end. Each
// sequence holds one connection of the pool while it waits. One that is encrypted with
// a key that the store does not have ends the sequence with a *SealedError.
func (s *Store) Deltas(ctx context.Context, id string) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		last := "0"
		for {
			reply, err := s.rdb.XRead(ctx, &redis.XReadArgs{
				Streams: []string{results.DeltasKey(id), last},
				Count:   200,
				Block:   deltaBlock,
			}).Result()
			if err == redis.Nil {
				r, err := s.results.Get(ctx, id)
				if err != nil {
					yield(Delta{}, err)
					return
				}
				if r.Status.Terminal() {
					yield(Delta{Type: DeltaEnd}, nil)
					return
				}
				continue
			}
			if err != nil {
				yield(Delta{}, fmt.Errorf("read deltas of %s: %w", id, err))
				return
			}
			for _, message := range reply[0].Messages {
				last = message.ID
				kind, _ := message.Values["type"].(string)
				text, _ := message.Values["text"].(string)
				d := Delta{Type: DeltaType(kind)}
				if d.Text, err = s.results.Keys.Open(id, fieldDelta, text); err != nil {
					yield(Delta{}, fmt.Errorf("read deltas of %s: %w", id, err))
					return
				}
				if !yield(d, nil) || d.Type == DeltaEnd {
					return
				}
			}
		}
	}
}
