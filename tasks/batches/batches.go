// Package batches keeps files of questions in Redis, each under one name: to be seen,
// canceled and asked again as one. Each row is an ordinary task of package tasks.
//
// [Client.Create] makes a batch, [Client.Add] enqueues its rows chunk by chunk, and
// [Client.Rows] reads them back. [Client.Retry] asks rows again, [Client.Repair] puts right
// what a batch and its tasks do not agree about.
package batches

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Client keeps batches, files of questions in Redis. A batch is
//
//	cozeq:batch:{ID}         hash    what it is, its counts and its tokens
//	cozeq:batch:{ID}:states  string  a letter a row, its state
//	cozeq:batch:{ID}:asks    string  a byte a row, its ask less one; once a row was asked again
//	cozeq:batch:{ID}:rows    hash    by chunk: the rows, compressed; not of a run
//
// and the results of its tasks, BATCH-N. cozeq:batches names all batches by the time of
// their creation. See Tally for how the states are kept.
//
// A batch expires as a whole. While it is open its keys live on; from its end they are
// kept for Spec.Keep, and the worker's sweep sets the same for all of its results.
type Client struct {
	rdb     redis.UniversalClient
	tasks   *tasks.Client
	results *results.Store
	tally   *tally.Tally
}

// New returns the batches kept in the Redis of client, which enqueues their rows.
func New(client *tasks.Client) *Client {
	store := client.Results()
	return &Client{rdb: store.Redis(), tasks: client, results: store, tally: tally.New(store.Redis())}
}

// Encrypts reports whether the text of a batch is encrypted when it is made here.
func (c *Client) Encrypts() bool { return c.results.Keys != nil }

// createBatchScript makes a batch unless there is one of its id.
//
// KEYS: batch, states, asks, rows. ARGV: number of rows, TTL in tally.Seconds, then names and
// values.
var createBatchScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'queued', ARGV[1], unpack(ARGV, 3))
redis.call('SET', KEYS[2], string.rep('q', tonumber(ARGV[1])), 'EX', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1`)

// Create makes a batch of which no row is enqueued yet. If there is one of its id
// nothing changes, created is false, and b is the one that was there. A batch that
// cannot be is an *InvalidError.
func (c *Client) Create(ctx context.Context, b Spec) (there *Status, created bool, err error) {
	if err := b.complete(); err != nil {
		return nil, false, err
	}
	args := append([]any{b.Rows, tally.Seconds(tally.OpenTTL)}, b.fields(c.results.Keys, time.Now())...)
	n, err := createBatchScript.Run(ctx, c.rdb, tally.Keys(b.ID), args...).Int()
	if err != nil {
		return nil, false, fmt.Errorf("create batch %s: %w", b.ID, err)
	}
	there, err = c.Get(ctx, b.ID)
	if err != nil {
		return nil, false, err
	}
	// Who dies before this has a batch that is in no list, and that lapses if nobody
	// creates it again.
	return there, n == 1, c.list(ctx, there)
}

func (c *Client) list(ctx context.Context, b *Status) error {
	err := c.rdb.ZAddNX(ctx, tally.ListKey, redis.Z{Score: float64(b.CreatedAt.UnixMilli()), Member: b.ID}).Err()
	if err != nil {
		return fmt.Errorf("list batch %s: %w", b.ID, err)
	}
	return nil
}

// Get returns a batch as it stands, or ErrNotFound.
func (c *Client) Get(ctx context.Context, id string) (*Status, error) {
	hash, err := c.rdb.HGetAll(ctx, tally.Key(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s: %w", id, err)
	}
	if len(hash) == 0 {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	return parseBatch(hash, c.results.Keys)
}

// List returns all batches as they stand, the newest first.
func (c *Client) List(ctx context.Context) ([]*Status, error) {
	ids, err := c.rdb.ZRevRange(ctx, tally.ListKey, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	replies := make([]*redis.MapStringStringCmd, len(ids))
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			replies[i] = p.HGetAll(ctx, tally.Key(id))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	all := make([]*Status, 0, len(ids))
	for _, reply := range replies {
		if len(reply.Val()) == 0 {
			continue // kept no longer; the sweep forgets its name
		}
		b, err := parseBatch(reply.Val(), c.results.Keys)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// noteScript sets a field of a batch that is there. It answers 0 where it is not, 2
// where somebody has canceled it, else 1.
//
// KEYS: batch. ARGV: name, value.
var noteScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[1], 'canceled_at') == 1 then return 2 end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return 1`)

// Submitted notes that every row was added. A batch that was canceled meanwhile is
// ErrCanceled.
func (c *Client) Submitted(ctx context.Context, id string) error {
	n, err := noteScript.Run(ctx, c.rdb, []string{tally.Key(id)}, "submitted_at", results.At(time.Now()).String()).Int()
	switch {
	case err != nil:
		return fmt.Errorf("note that batch %s was submitted: %w", id, err)
	case n == 0:
		return fmt.Errorf("%s: %w", id, ErrNotFound)
	case n == 2:
		return fmt.Errorf("%s: %w", id, ErrCanceled)
	}
	return nil
}

// States returns the states of a batch's rows, or ErrNotFound.
func (c *Client) States(ctx context.Context, id string) (*States, error) {
	var states, asks *redis.StringCmd
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		states, asks = p.Get(ctx, tally.StatesKey(id)), p.Get(ctx, tally.AsksKey(id))
		return nil
	})
	switch {
	case errors.Is(states.Err(), redis.Nil):
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	case err != nil && !errors.Is(err, redis.Nil):
		return nil, fmt.Errorf("read the states of batch %s: %w", id, err)
	}
	return &States{states: states.Val(), asks: asks.Val()}, nil
}
