// Package runbatch keeps the batch of a run in Redis: the states of its rows and the name of its output. So others see how
// far the run has come, and can cancel it with package batches.
//
// The run has its rows in a file, the journal. The journal decides: whenever a run starts or resumes, it writes the rows
// that it knows into Redis. Only a run needs this package.
package runbatch

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Client keeps runs' batches. It is safe for concurrent use.
type Client struct {
	*batches.Client
	rdb     redis.UniversalClient
	results *results.Store
	tally   *tally.Tally
}

func New(client *tasks.Client) *Client {
	store := client.Results()
	return &Client{batches.New(client), store.Redis(), store, tally.New(store.Redis())}
}

//go:embed *.lua
var files embed.FS

var (
	registerScript = tally.Script(files, "register.lua")
	stateScript    = tally.Script(files, "runstate.lua")
)

// Rows are the rows of a run as its journal knows them. A row that was not Set is queued for its first attempt.
type Rows struct {
	states, asks []byte // as in Redis
	failures     map[string]int
	usage        results.Usage
}

func NewRows(n int) *Rows {
	return &Rows{states: bytes.Repeat([]byte(tally.Letters[results.Queued]), n), failures: make(map[string]int)}
}

// Set sets the state and the attempt of a row. Call it once for each row. It ignores the mark's Batch.
func (r *Rows) Set(m tally.Mark) {
	r.states[m.Row-1] = tally.Letters[m.Status][0]
	if m.Attempt > 1 {
		if r.asks == nil {
			r.asks = make([]byte, len(r.states))
		}
		r.asks[m.Row-1] = byte(min(m.Attempt, tally.MaxAttempts) - 1)
	}
	if m.Status == results.Failed {
		r.failures[tally.FailedField+m.Failure()]++
	}
	r.usage = r.usage.Plus(m.Usage)
}

// counts are names and numbers for the batch's hash, without the tokens.
func (r *Rows) counts() (counts []any) {
	for status, letter := range tally.Letters {
		if n := bytes.Count(r.states, []byte(letter)); n > 0 {
			counts = append(counts, string(status), n)
		}
	}
	for name, n := range r.failures {
		counts = append(counts, name, n)
	}
	return counts
}

// Keep is how long a result of a run is kept that the run has not collected: as long as its batch may be open. The sweep
// gives it the batch's time to live once the batch has ended.
const Keep = tally.OpenTTL

// State is what Redis knows of a run's rows at one moment.
type State struct {
	tally.States
	Usage results.Usage // what was billed for rows that have ended, all attempts included
}

// State returns what an earlier start of a run has left, or batches.ErrNotFound.
func (c *Client) State(ctx context.Context, id string) (*State, error) {
	of, err := stateScript.Run(ctx, c.rdb, tally.Keys(id)[:3]).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read the rows of batch %s: %w", id, err)
	}
	if len(of) < 5 {
		return nil, fmt.Errorf("%s: %w", id, batches.ErrNotFound)
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(of[i], 10, 64) // a counter of Redis
		return n
	}
	return &State{
		States: tally.NewStates(of[3], of[4]),
		Usage:  results.Usage{TokenCount: number(0), OutputCount: number(1), InputCount: number(2)},
	}, nil
}

// Collected notes that the run has taken all results out of Redis. The sweep need not look for any.
func (c *Client) Collected(ctx context.Context, id string, rows int) error {
	return c.tally.Collected(ctx, id, rows)
}

// Register creates the batch of a run, or takes over the one of an earlier start, with the rows that the run knows; nil:
// all are queued. Tokens that an earlier start has counted stay.
func (c *Client) Register(ctx context.Context, b batches.Spec, known *Rows) error {
	b.Kind = batches.KindRun
	_, fresh, err := c.Create(ctx, b)
	if err != nil {
		return err
	}
	if known == nil {
		known = NewRows(b.Rows)
	}
	args := append([]any{tally.Seconds(tally.OpenTTL), known.states, known.asks}, known.counts()...)
	if fresh {
		u := known.usage
		args = append(args, "tokens", u.TokenCount, "output_tokens", u.OutputCount, "input_tokens", u.InputCount)
	}
	if err := registerScript.Run(ctx, c.rdb, tally.Keys(b.ID), args...).Err(); err != nil {
		return fmt.Errorf("register the rows of batch %s: %w", b.ID, err)
	}
	return nil
}

// NoteEnqueued notes that a run is about to enqueue its rows up to this one. It returns batches.ErrCanceled if the batch was
// canceled, and nil if it is gone.
func (c *Client) NoteEnqueued(ctx context.Context, id string, row int) error {
	_, canceled, err := c.tally.NoteEnqueued(ctx, id, row)
	if canceled {
		return fmt.Errorf("%s: %w", id, batches.ErrCanceled)
	}
	return err
}

// Release deletes results that the run has stored. First it marks their rows. asynq may hand a task out again if its worker
// died right after the end: the next worker finds the end in the batch.
//
// Of each result it needs ID, BatchID, Status, Error, Usage and Attempts.
func (c *Client) Release(ctx context.Context, ended []*results.Result) error {
	// A published result does not say what the chats before the last one cost.
	var repeated []string
	for _, r := range ended {
		if r.Attempts > 1 {
			repeated = append(repeated, r.ID)
		}
	}
	records, err := c.results.GetMany(ctx, repeated)
	if err != nil {
		return err
	}
	spent := make(map[string]results.Usage)
	for _, r := range records {
		if r != nil {
			spent[r.ID] = r.Spent
		}
	}
	marks := make([]tally.Mark, 0, len(ended))
	ids := make([]string, 0, len(ended))
	for _, r := range ended {
		whole := *r
		whole.Spent = spent[r.ID]
		if m, ok := tally.Of(&whole); ok {
			marks, ids = append(marks, m), append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := c.tally.Mark(ctx, marks...); err != nil {
		return err
	}
	if err := c.results.Delete(ctx, ids...); err != nil {
		return fmt.Errorf("delete results of %s: %w", ids[0], err)
	}
	return nil
}
