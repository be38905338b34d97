package results

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// DefaultKeep is how long a result is kept after its task has ended.
const DefaultKeep = 24 * time.Hour

// ErrNotFound is returned for an id that has no record: never enqueued here, or
// kept no longer.
var ErrNotFound = errors.New("no such task")

// Store reads results and waits for them. It is safe for concurrent use. The zero value
// is not usable; see [NewStore].
type Store struct {
	// Keep is how long results are kept after their tasks have ended, where the
	// task itself says nothing. Whole seconds. Set it before first use.
	Keep time.Duration

	// Keys encrypt answers, and all other text of results, before it goes to Redis, and
	// decrypt what was encrypted; nil: nothing is encrypted, and what is stays so, see
	// Result.Sealed. Set it before first use, and before a tasks.Client is made with the
	// store, which uses the same.
	Keys *Keys

	rdb redis.UniversalClient

	mu     sync.Mutex
	hub    *hub
	closed bool
}

// NewStore returns a Store on rdb, which stays the caller's to close.
func NewStore(rdb redis.UniversalClient) *Store {
	return &Store{Keep: DefaultKeep, rdb: rdb}
}

// Redis returns the client that the store was made with.
func (s *Store) Redis() redis.UniversalClient { return s.rdb }

// Close ends the subscription that waiters share; those still waiting get an
// error.
func (s *Store) Close() error {
	s.mu.Lock()
	hub := s.hub
	s.hub, s.closed = nil, true
	s.mu.Unlock()
	if hub == nil {
		return nil
	}
	return hub.close()
}

// Get returns a task's record as it stands, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (*Result, error) {
	hash, err := s.rdb.HGetAll(ctx, Key(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("read result %s: %w", id, KeyFault(Key(id), err))
	}
	r := Parse(id, hash, s.Keys)
	if r.Status == "" {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	return r, nil
}

// GetMany returns many records as they stand, aligned with ids: nil for an id that has
// none.
func (s *Store) GetMany(ctx context.Context, ids []string) ([]*Result, error) {
	all := make([]*Result, 0, len(ids))
	for chunk := range slices.Chunk(ids, readChunk) {
		replies := make([]*redis.MapStringStringCmd, len(chunk))
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range chunk {
				replies[i] = p.HGetAll(ctx, Key(id))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read results: %w", err)
		}
		for i, reply := range replies {
			r := Parse(chunk[i], reply.Val(), s.Keys)
			if r.Status == "" {
				r = nil
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// Delete forgets tasks that have ended: for a caller that has brought their
// results to safety and wants the memory back. With a record goes what fences
// an older attempt at its task.
func (s *Store) Delete(ctx context.Context, ids ...string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			p.Unlink(ctx, Key(id), BodyKey(id), DeltasKey(id))
		}
		return nil
	})
	return err
}
