package batches

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
)

// A run keeps its own books, in a file. Its batch in Redis is for others to see how far
// it has come, and to cancel it: what the run's file says holds, and is put into Redis
// again whenever the run begins or goes on.

// RunRows are the rows of a run as its file knows them. One that was not Set is queued, for
// its first ask.
type RunRows struct {
	states, asks []byte // as in Redis
	failures     map[string]int
	usage        results.Usage
}

// NewRunRows returns n rows of which nothing is known.
func NewRunRows(n int) *RunRows {
	return &RunRows{states: bytes.Repeat([]byte(tally.Letters[results.Queued]), n), failures: make(map[string]int)}
}

// Set says that a row has ended, or is asked for the how manieth time. Once for each row;
// its batch is nobody's concern.
func (r *RunRows) Set(m tally.Mark) {
	r.states[m.Row-1] = tally.Letters[m.Status][0]
	if m.Ask > 1 {
		if r.asks == nil {
			r.asks = make([]byte, len(r.states))
		}
		r.asks[m.Row-1] = byte(min(m.Ask, tally.MaxAsks) - 1)
	}
	if m.Status == results.Failed {
		r.failures[failedField+m.Failure()]++
	}
	r.usage = r.usage.Plus(m.Usage)
}

// counts are names and numbers of the batch's hash, but those of the tokens.
func (r *RunRows) counts() (counts []any) {
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

// RunKeep is how long a result of a run is kept that nobody has collected: as long as its
// batch may be open. Once the batch has ended the sweep gives it the batch's time.
const RunKeep = tally.OpenTTL

// RunState is what Redis knows of a run's rows at one moment.
type RunState struct {
	States
	Usage results.Usage // what was billed for rows that have ended, in each of their asks
}

// runStateScript reads it in one step, so that the tokens are those of the rows that have
// ended.
//
// KEYS: batch, states, asks.
var runStateScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return {} end
local of = redis.call('HMGET', KEYS[1], 'tokens', 'output_tokens', 'input_tokens')
for i = 1, 3 do of[i] = of[i] or '0' end
of[4] = redis.call('GET', KEYS[2])
of[5] = redis.call('GET', KEYS[3]) or ''
return of`)

// RunState returns what an earlier go at a run has left, or ErrNotFound.
func (c *Client) RunState(ctx context.Context, id string) (*RunState, error) {
	of, err := runStateScript.Run(ctx, c.rdb, tally.Keys(id)[:3]).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read the rows of batch %s: %w", id, err)
	}
	if len(of) < 5 {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(of[i], 10, 64) // Redis counts it
		return n
	}
	return &RunState{
		States: States{states: of[3], asks: of[4]},
		Usage:  results.Usage{TokenCount: number(0), OutputCount: number(1), InputCount: number(2)},
	}, nil
}

// Collected notes that no result of a run's batch is left in Redis: the sweep need not
// look for any.
func (c *Client) Collected(ctx context.Context, id string, rows int) error {
	return c.tally.Collected(ctx, id, rows)
}

// registerScript makes the rows of a batch what their run knows of them, all at once: a
// task may be in the queue still whose row has ended and whose record is gone, and the
// worker that gets it asks the batch. Found there as queued for a moment, it would be
// asked again.
//
// KEYS: batch, states, asks, rows. ARGV: TTL in tally.Seconds, states, asks, then names and
// numbers of the batch's hash.
var registerScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
	if string.sub(name, 1, 7) == 'failed:' then redis.call('HDEL', KEYS[1], name) end
end
redis.call('HDEL', KEYS[1], 'queued', 'waiting', 'running', 'completed', 'failed', 'canceled', 'expired', 'ended_at', 'canceled_at', 'submitted_at', 'settled')
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[3] == '' then redis.call('DEL', KEYS[3]) else redis.call('SET', KEYS[3], ARGV[3]) end
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[1]) end
return 1`)

// Register makes the batch of a run, or takes the one of an earlier go at it up, with the
// rows as the run knows them; nil: all are queued. What an earlier go has summed up of
// tokens stays.
func (c *Client) Register(ctx context.Context, b Spec, known *RunRows) error {
	b.Kind = KindRun
	_, fresh, err := c.Create(ctx, b)
	if err != nil {
		return err
	}
	if known == nil {
		known = NewRunRows(b.Rows)
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

// Fed notes that a run is about to enqueue its rows up to this one. It is
// ErrCanceled if somebody has canceled the batch.
func (c *Client) Fed(ctx context.Context, id string, row int) error {
	n, err := addedScript.Run(ctx, c.rdb, tally.Keys(id), row, tally.Seconds(tally.OpenTTL)).Int()
	if err != nil {
		return fmt.Errorf("note that batch %s is enqueued up to row %d: %w", id, row, err)
	}
	if n == 2 {
		return fmt.Errorf("%s: %w", id, ErrCanceled)
	}
	return nil
}

// Release lets results go that their run has brought to safety: its batch is told, if
// it was not yet, and then they are deleted. A task that asynq gives out once more, by
// a worker that died between its end and the queue's, finds the end in the batch.
//
// Of each result it needs ID, BatchID, Status, Error, Usage and Attempts.
func (c *Client) Release(ctx context.Context, ended []*results.Result) error {
	// A result as it is published does not say what the chats before the last one cost.
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
