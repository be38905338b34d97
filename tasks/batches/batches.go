// Package batches keeps files of questions in Redis, each under one id. A batch is watched, canceled and retried as a
// whole. Each of its rows is an ordinary task of package tasks.
//
// [Client.Create] makes a batch, [Client.Add] enqueues its rows chunk by chunk, and [Client.Rows] reads them back.
// [Client.Retry] asks rows again. [Client.Repair] fixes what a batch and its tasks do not agree about.
//
// The package reads and writes no files and does not wait for answers: the worker does the asking, and package results
// has the answers.
package batches

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Client keeps batches in Redis. It is safe for concurrent use. A batch is
//
//	cozeq:batch:{ID}         hash    what it is, its counts and its tokens
//	cozeq:batch:{ID}:states  string  for each row a letter, its state
//	cozeq:batch:{ID}:asks    string  for each row a byte, its attempt less one; missing until a row is retried
//	cozeq:batch:{ID}:rows    hash    by chunk: the rows, compressed; missing for a run
//
// and the results of its tasks, BATCH-N. cozeq:batches has the ids of all batches, cozeq:batches:{TENANT} those of a tenant's.
//
// A batch expires as a whole. Its keys live as long as it is open, and Spec.Keep from then on. The worker's sweep gives
// its results the same time to live.
type Client struct {
	rdb     redis.UniversalClient
	tasks   *tasks.Client
	results *results.Store
	tally   *tally.Tally
}

// New returns a Client for the Redis of client, which enqueues the rows.
func New(client *tasks.Client) *Client {
	store := client.Results()
	return &Client{rdb: store.Redis(), tasks: client, results: store, tally: tally.New(store.Redis())}
}

// Encrypts reports whether this client encrypts the text of the batches that it makes.
func (c *Client) Encrypts() bool { return c.results.Keys != nil }

//go:embed *.lua
var files embed.FS

var (
	createScript    = tally.Script(files, "create.lua")
	submittedScript = tally.Script(files, "submitted.lua")
	cancelScript    = tally.Script(files, "cancel.lua")
)

// Create makes a batch without enqueueing any row. If a batch of this id exists, it is returned unchanged and created is
// false. An invalid spec is a *tasks.InvalidError.
func (c *Client) Create(ctx context.Context, b Spec) (there *Status, created bool, err error) {
	if err := b.complete(); err != nil {
		return nil, false, err
	}
	args := append([]any{b.Rows, tally.Seconds(tally.OpenTTL)}, b.fields(c.results.Keys, time.Now())...)
	n, err := createScript.Run(ctx, c.rdb, tally.Keys(b.ID), args...).Int()
	if err != nil {
		return nil, false, fmt.Errorf("create batch %s: %w", b.ID, err)
	}
	there, err = c.Get(ctx, b.ID)
	if err != nil {
		return nil, false, err
	}
	// A process that dies before this leaves a batch that is in no list. It expires unless Create is called again.
	return there, n == 1, c.list(ctx, there)
}

// Get returns a batch, or ErrNotFound.
func (c *Client) Get(ctx context.Context, id string) (*Status, error) {
	hash, err := c.rdb.HGetAll(ctx, rediskey.Batch(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s: %w", id, err)
	}
	if len(hash) == 0 {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	return parse(hash, c.results.Keys)
}

// Submitted notes that every row has been added. It returns ErrCanceled if the batch was canceled in the meantime.
func (c *Client) Submitted(ctx context.Context, id string) error {
	cmd := submittedScript.Run(ctx, c.rdb, []string{rediskey.Batch(id)}, results.At(time.Now()).String())
	return reply(cmd, id, "note that all rows are added")
}

// reply is the error that follows from the reply of a script: 0 there is no batch, 2 it is canceled.
func reply(cmd *redis.Cmd, id, what string) error {
	n, err := cmd.Int()
	switch {
	case err != nil:
		return fmt.Errorf("batch %s: %s: %w", id, what, err)
	case n == 0:
		return fmt.Errorf("%s: %w", id, ErrNotFound)
	case n == 2:
		return fmt.Errorf("%s: %w", id, ErrCanceled)
	}
	return nil
}

// States are the states of a batch's rows at one moment. Rows count from 1.
type States = tally.States

// States returns the states of a batch's rows, or ErrNotFound.
func (c *Client) States(ctx context.Context, id string) (*States, error) {
	var states, asks *redis.StringCmd
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		states, asks = p.Get(ctx, rediskey.BatchStates(id)), p.Get(ctx, rediskey.BatchAsks(id))
		return nil
	})
	switch {
	case errors.Is(states.Err(), redis.Nil):
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	case err != nil && !errors.Is(err, redis.Nil):
		return nil, fmt.Errorf("read the states of batch %s: %w", id, err)
	}
	all := tally.NewStates(states.Val(), asks.Val())
	return &all, nil
}
