package record

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// lookCount is how many deltas a look reads at most.
const lookCount = 200

// Look is a task as it stands: where it is, and the deltas behind one that is known.
type Look struct {
	Status results.Status
	Why    *results.Failure // of a task that waits: the reason

	Deltas []Delta // behind the known one
	More   bool    // there may be more than these

	Kept int64 // how many there are in all

	// Lost is true if the known delta is not in the stream any more, nor any before it: the stream was made anew, is
	// gone, or is longer than its bound.
	Lost bool

	// Cut is true if deltas may be gone between the known one, or the beginning, and the first that is kept.
	Cut bool
}

// Look reads a task and the deltas behind the one with the id after, zero for all. A delta that is encrypted with
// a key that the store does not have is a *results.SealedError. A task without a record is results.ErrNotFound.
//
// The record is read first: if it has ended its stream is complete, and has the end if there is one.
func (s *Store) Look(ctx context.Context, id string, after EntryID) (*Look, error) {
	key := results.DeltasKey(id)
	fields := []string{"status", "error_code", "error_class", "error_msg", "error_hint", "logid"}
	var state *redis.SliceCmd
	var first *redis.XMessageSliceCmd
	var length *redis.IntCmd
	var entries *redis.XStreamSliceCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		state = p.HMGet(ctx, results.Key(id), fields...)
		first = p.XRangeN(ctx, key, "-", "+", 1)
		length = p.XLen(ctx, key)
		entries = p.XRead(ctx, &redis.XReadArgs{Streams: []string{key, after.String()}, Count: lookCount, Block: -1})
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("look at %s: %w", id, results.KeyFault(key, err))
	}
	hash := make(map[string]string, len(fields))
	for i, value := range state.Val() {
		if text, ok := value.(string); ok {
			hash[fields[i]] = text
		}
	}
	r := results.Parse(id, hash, s.results.Keys)
	if r.Status == "" {
		return nil, fmt.Errorf("%s: %w", id, results.ErrNotFound)
	}
	l := &Look{Status: r.Status, Kept: length.Val()}
	if r.Status == results.Waiting {
		l.Why = r.Error
	}
	known := false
	if entries := first.Val(); len(entries) > 0 {
		id, err := ParseEntryID(entries[0].ID)
		known = err == nil && id.Compare(after) <= 0
	}
	l.Lost, l.Cut = !known && after != (EntryID{}), !known && l.Kept >= maxDeltas
	for _, stream := range entries.Val() {
		for _, m := range stream.Messages {
			kind, _ := m.Values["type"].(string)
			text, _ := m.Values["text"].(string)
			d := Delta{Type: DeltaType(kind)}
			if d.Text, err = s.results.Keys.Open(id, fieldDelta, text); err == nil {
				d.ID, err = ParseEntryID(m.ID)
			}
			if err != nil {
				return nil, fmt.Errorf("deltas of %s: %w", id, err)
			}
			l.Deltas = append(l.Deltas, d)
		}
	}
	l.More = len(l.Deltas) == lookCount
	return l, nil
}

// LastDelta is the newest delta that is kept, without its text; the zero Delta if there is none.
func (s *Store) LastDelta(ctx context.Context, id string) (Delta, error) {
	entries, err := s.rdb.XRevRangeN(ctx, results.DeltasKey(id), "+", "-", 1).Result()
	if err != nil {
		return Delta{}, fmt.Errorf("last delta of %s: %w", id, results.KeyFault(results.DeltasKey(id), err))
	}
	if len(entries) == 0 {
		return Delta{}, nil
	}
	kind, _ := entries[0].Values["type"].(string)
	entry, err := ParseEntryID(entries[0].ID)
	return Delta{Type: DeltaType(kind), ID: entry}, err
}
