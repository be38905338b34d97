package tasks

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/pipeline"
	"github.com/cozeq/cozeq/results"
)

// A run keeps its own books, in a file. Its batch in Redis is for others to see how far
// it has come, and to cancel it: what the run's file says holds, and is put into Redis
// again whenever the run begins or goes on.

// restartScript makes all rows of a batch queued, as if none had been asked. What was
// billed stays.
//
// KEYS: batch, states, asks, rows. ARGV: TTL in seconds.
var restartScript = redis.NewScript(`
local rows = redis.call('HGET', KEYS[1], 'rows')
if not rows then return 0 end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
	if string.sub(name, 1, 7) == 'failed:' then redis.call('HDEL', KEYS[1], name) end
end
redis.call('HDEL', KEYS[1], 'waiting', 'running', 'completed', 'failed', 'canceled', 'expired', 'ended_at', 'canceled_at', 'submitted_at')
redis.call('HSET', KEYS[1], 'queued', rows)
redis.call('SET', KEYS[2], string.rep('q', tonumber(rows)))
redis.call('DEL', KEYS[3])
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[1]) end
return 1`)

// adoptScript sets rows to the asks and states that their run knows. A row whose current
// ask is a later one, or that is open and shall be, is left alone. It answers as
// markScript does.
//
// KEYS and ARGV as for markScript.
var adoptScript = redis.NewScript(marked + `
local moved = {}
for i = 3, #ARGV, 7 do
	local row, new, to = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2]
	local from = state(row)
	local old = from == '' or ask(row)
	if from == '' or new < old or new == old and (from == to or to == 'q' and not ends[from]) then
		moved[#moved + 1] = 0
	else
		if new ~= old then redis.call('SETRANGE', KEYS[3], row - 1, string.char(new - 1)) end
		move(row, from, to)
		if ends[to] then
			count('tokens', ARGV[i + 4])
			count('output_tokens', ARGV[i + 5])
			count('input_tokens', ARGV[i + 6])
			if to == 'F' then count('failed:' .. ARGV[i + 3], 1) end
		end
		moved[#moved + 1] = 1
	end
end
return moved`)

// Register makes the batch of a run, or takes the one of an earlier go at it up: all of
// its rows are queued then, and Adopt tells which are not. fresh is false for one that
// was there: what it has summed up of tokens is in it already.
func (bs *Batches) Register(ctx context.Context, b Batch) (fresh bool, err error) {
	b.Kind = BatchRun
	_, fresh, err = bs.Create(ctx, b)
	if err != nil || fresh {
		return fresh, err
	}
	if err := restartScript.Run(ctx, bs.rdb, batchKeys(b.ID), seconds(openBatchTTL)).Err(); err != nil {
		return false, fmt.Errorf("take up batch %s: %w", b.ID, err)
	}
	return false, nil
}

// Adopt sets rows of a run's batch to what the run knows of them: that they have ended,
// or are asked for the how manieth time.
func (bs *Batches) Adopt(ctx context.Context, id string, marks []Mark) error {
	var calls []pipeline.Call
	for len(marks) > 0 {
		args := header()
		n := min(len(marks), markChunk)
		for _, m := range marks[:n] {
			args = append(args, m.args()...)
		}
		calls = append(calls, pipeline.Call{Script: adoptScript, Keys: batchKeys(id), Args: args})
		marks = marks[n:]
	}
	for _, reply := range pipeline.Run(ctx, bs.rdb, calls) {
		if err := reply.Err(); err != nil {
			return fmt.Errorf("take up rows of batch %s: %w", id, err)
		}
	}
	return nil
}

// Fed notes that a run is about to enqueue its rows up to this one. It is
// ErrBatchCanceled if somebody has canceled the batch.
func (bs *Batches) Fed(ctx context.Context, id string, row int) error {
	n, err := addedScript.Run(ctx, bs.rdb, batchKeys(id), row, seconds(openBatchTTL)).Int()
	if err != nil {
		return fmt.Errorf("note that batch %s is enqueued up to row %d: %w", id, row, err)
	}
	if n == 2 {
		return fmt.Errorf("%s: %w", id, ErrBatchCanceled)
	}
	return nil
}

// Release lets results go that their run has brought to safety: its batch is told, if
// it was not yet, and then they are deleted. A task that asynq gives out once more, by
// a worker that died between its end and the queue's, finds the end in the batch.
//
// Of each result it needs ID, BatchID, Status, Error, Usage and Attempts.
func (bs *Batches) Release(ctx context.Context, ended []*results.Result) error {
	// A result as it is published does not say what the chats before the last one cost.
	var repeated []string
	for _, r := range ended {
		if r.Attempts > 1 {
			repeated = append(repeated, r.ID)
		}
	}
	records, err := bs.results.GetMany(ctx, repeated)
	if err != nil {
		return err
	}
	spent := make(map[string]results.Usage)
	for _, r := range records {
		if r != nil {
			spent[r.ID] = r.Spent
		}
	}
	marks := make([]Mark, 0, len(ended))
	ids := make([]string, 0, len(ended))
	for _, r := range ended {
		whole := *r
		whole.Spent = spent[r.ID]
		if m, ok := MarkOf(&whole); ok {
			marks, ids = append(marks, m), append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := bs.tally.Mark(ctx, marks...); err != nil {
		return err
	}
	if err := bs.results.Delete(ctx, ids...); err != nil {
		return fmt.Errorf("delete results of %s: %w", ids[0], err)
	}
	return nil
}
