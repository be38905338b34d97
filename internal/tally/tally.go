// Package tally keeps the states of the rows of batches, and their counts with them, in the
// keys of a batch that package batches describes. It is what workers know of batches.
package tally

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/pipeline"
	"github.com/cozeq/cozeq/results"
)

// Tally keeps the states of batches' rows, and their counts with them.
//
// A row's state is a letter in a string, and each state has a counter in the
// batch's hash. One script moves a letter and both counters, so the counts add up
// to the rows at every moment, whatever dies when.
//
// The task's own record is another key, in a cluster on another node, so no step can
// change both. The record always goes first: it decides. What can die between the two:
//
//   - A worker that has ended a record (1) and did not mark it (2): asynq gives the
//     task out again, the worker finds that it has ended, and marks it from the record.
//   - Somebody who cancels, after the record (1) and before the mark (2): the task is
//     taken out of the queue only after 2, so a worker gets it and does the same.
//   - The sweep that ends the record of a turn that was gone: it is in no queue, and in
//     its lane no more, so nobody comes. batches.Client.Repair compares records and states.
//
// So a mark may come twice, late, and in any order. A row's end is final for its ask:
// no mark undoes it, and tokens are added with it, once. A mark of an earlier ask than
// the row's current one changes nothing. Among states that are no ends the last mark
// stands, which for a moment may be the older one; the row's end puts that right.
type Tally struct {
	rdb redis.UniversalClient
}

// New returns the tally of the batches kept in rdb.
func New(rdb redis.UniversalClient) *Tally { return &Tally{rdb} }

// Keys of a batch, all in one slot.
func Key(id string) string       { return "cozeq:batch:{" + id + "}" }
func StatesKey(id string) string { return Key(id) + ":states" }
func AsksKey(id string) string   { return Key(id) + ":asks" }
func RowsKey(id string) string   { return Key(id) + ":rows" }

func Keys(id string) []string {
	return []string{Key(id), StatesKey(id), AsksKey(id), RowsKey(id)}
}

// Letters are how the states stand in the string. They are lower case for a row that
// is open and upper case for one that has ended.
var Letters = map[results.Status]string{
	results.Queued: "q", results.Waiting: "w", results.Running: "r",
	results.Completed: "C", results.Failed: "F", results.Canceled: "X", results.Expired: "E",
}

// statuses are the letters read backwards.
var statuses = func() (of [256]results.Status) {
	for status, letter := range Letters {
		of[letter[0]] = status
	}
	return of
}()

// Status is the state that a letter stands for.
func Status(letter byte) results.Status { return statuses[letter] }

// MaxAsks is how often a row of a detached batch may be asked in all: its ask is a byte.
// What a run asks more often counts as its last ask.
const MaxAsks = 256

// Mark is the state of a batch's row.
type Mark struct {
	Batch  string
	Row    int // from 1
	Ask    int // from 1
	Status results.Status

	Class string        // of one that failed
	Code  int           // of one that failed; 0 = none
	Usage results.Usage // of one that has ended: all that was billed for the ask
}

// Of returns the mark that follows from a record. A task is a batch's if its id is
// one that TaskID makes of its batch_id: for any other ok is false.
func Of(r *results.Result) (m Mark, ok bool) {
	batch, row, ask, ok := ParseTaskID(r.ID)
	if !ok || batch != r.BatchID {
		return Mark{}, false
	}
	m = Mark{Batch: batch, Row: row, Ask: ask, Status: r.Status, Usage: r.Billed()}
	if e := r.Error; e != nil && r.Status == results.Failed {
		m.Class, m.Code = e.Class, e.Code
	}
	return m, true
}

// Failure names what a row failed of as the batch's hash counts it: failed:CLASS:CODE.
func (m Mark) Failure() string { return m.Class + ":" + strconv.Itoa(m.Code) }

func (m Mark) args() []any {
	failure := ""
	if m.Status == results.Failed {
		failure = m.Failure()
	}
	return []any{m.Row, min(m.Ask, MaxAsks), Letters[m.Status], failure, m.Usage.TokenCount, m.Usage.OutputCount, m.Usage.InputCount}
}

// marked is what the scripts that move states begin with.
//
// A batch whose hash or states are gone stays gone: half of one, made anew by a late
// mark, would count wrong and never end.
//
// KEYS: batch, states, asks, rows. ARGV: now, TTL in seconds of a batch that is open.
const marked = `
local names = {q = 'queued', w = 'waiting', r = 'running', C = 'completed', F = 'failed', X = 'canceled', E = 'expired'}
local ends = {C = true, F = true, X = true, E = true}
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return {} end
local function count(name, n)
	n = tonumber(n)
	if n ~= 0 then redis.call('HINCRBY', KEYS[1], name, n) end
end
local function state(row)
	if row < 1 then return '' end
	return redis.call('GETRANGE', KEYS[2], row - 1, row - 1)
end
local function ask(row)
	local again = redis.call('GETRANGE', KEYS[3], row - 1, row - 1)
	if again == '' then return 1 end
	return string.byte(again) + 1
end
local function move(row, from, to)
	redis.call('SETRANGE', KEYS[2], row - 1, to)
	count(names[from], -1)
	count(names[to], 1)
end
local function keep(ttl)
	for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ttl) end
end
`

// markScript moves rows to the states that their marks say, if they may: see Tally.
// The last row's end is the batch's: from then on its keys expire. It answers with 1
// for each row that was moved, else 0; a batch that is gone answers with nothing.
//
// KEYS and ARGV as above, then for each mark row, ask, letter, failure, tokens, tokens
// out, tokens in.
var markScript = redis.NewScript(marked + `
local moved, ended = {}, false
for i = 3, #ARGV, 7 do
	local row, to = tonumber(ARGV[i]), ARGV[i + 2]
	local from = state(row)
	if from == '' or ends[from] or from == to or to == 'q' or tonumber(ARGV[i + 1]) ~= ask(row) then
		moved[#moved + 1] = 0
	else
		move(row, from, to)
		if ends[to] then
			ended = true
			count('tokens', ARGV[i + 4])
			count('output_tokens', ARGV[i + 5])
			count('input_tokens', ARGV[i + 6])
			if to == 'F' then count('failed:' .. ARGV[i + 3], 1) end
		end
		moved[#moved + 1] = 1
	end
end
if ended then
	local open = redis.call('HMGET', KEYS[1], 'queued', 'waiting', 'running', 'keep')
	if tonumber(open[1] or 0) + tonumber(open[2] or 0) + tonumber(open[3] or 0) == 0 then
		redis.call('HSET', KEYS[1], 'ended_at', ARGV[1])
		keep(open[4])
	end
end
return moved`)

// reopenScript makes rows that have ended open again, each for another ask or, where
// a person ran an archived task by hand, for the same one. A row that is open, or whose
// current ask is another one, is left alone, so a second call changes nothing. It
// answers as markScript does.
//
// KEYS and ARGV as above, then for each row its number, the ask that has ended, the
// next ask, and its failure or "".
var reopenScript = redis.NewScript(marked + `
local moved, any = {}, false
for i = 3, #ARGV, 4 do
	local row, old, new = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
	local from = state(row)
	if not ends[from] or old ~= ask(row) then
		moved[#moved + 1] = 0
	else
		move(row, from, 'q')
		if new ~= old then redis.call('SETRANGE', KEYS[3], row - 1, string.char(new - 1)) end
		if from == 'F' and ARGV[i + 3] ~= '' then count('failed:' .. ARGV[i + 3], -1) end
		any = true
		moved[#moved + 1] = 1
	end
end
if any then
	redis.call('HDEL', KEYS[1], 'ended_at', 'canceled_at', 'settled')
	keep(ARGV[2])
end
return moved`)

// OpenTTL bounds the life of a batch that never ends. Each end of a row does not
// set it anew, that would be four commands more for each; the worker's sweep does.
const OpenTTL = 30 * 24 * time.Hour

// markChunk is how many rows one script moves.
const markChunk = 500

func header() []any {
	return []any{results.At(time.Now()).String(), Seconds(OpenTTL)}
}

// Seconds is d as Redis's EXPIRE takes it, rounded up.
func Seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// Mark brings rows to the states that these marks say. It may be repeated after any
// error. Marks of batches that are gone are let go.
func (t *Tally) Mark(ctx context.Context, marks ...Mark) error {
	var calls []pipeline.Call
	for len(marks) > 0 {
		n := 1
		args := append(header(), marks[0].args()...)
		for n < len(marks) && n < markChunk && marks[n].Batch == marks[0].Batch {
			args = append(args, marks[n].args()...)
			n++
		}
		calls = append(calls, pipeline.Call{Script: markScript, Keys: Keys(marks[0].Batch), Args: args})
		marks = marks[n:]
	}
	if len(calls) == 1 { // alone it can share a round trip with other goroutines'
		c := calls[0]
		if err := markScript.Run(ctx, t.rdb, c.Keys, c.Args...).Err(); err != nil {
			return fmt.Errorf("mark rows of %s: %w", c.Keys[0], results.KeyFault(c.Keys[0], err))
		}
		return nil
	}
	for i, reply := range pipeline.Run(ctx, t.rdb, calls) {
		if err := reply.Err(); err != nil {
			return fmt.Errorf("mark rows of %s: %w", calls[i].Keys[0], results.KeyFault(calls[i].Keys[0], err))
		}
	}
	return nil
}

// MarkResult is Mark for a record; of a task that is no batch's it does nothing.
func (t *Tally) MarkResult(ctx context.Context, r *results.Result) error {
	m, ok := Of(r)
	if !ok {
		return nil
	}
	return t.Mark(ctx, m)
}

// Along returns the mark as a command for somebody else's round trip, which nobody
// waits for: good enough for states that are no ends. A Redis that does not know the
// script yet learns it with the first end.
func (m Mark) Along(ctx context.Context) func(redis.Cmdable) {
	return func(c redis.Cmdable) {
		markScript.EvalSha(ctx, c, Keys(m.Batch), append(header(), m.args()...)...)
	}
}

// Reopen makes the row of a task that has ended open again for the same ask: somebody
// has run it by hand.
func (t *Tally) Reopen(ctx context.Context, r *results.Result) error {
	m, ok := Of(r)
	if !ok {
		return nil
	}
	failure, _ := m.args()[3].(string)
	_, err := t.ReopenRows(ctx, m.Batch, []Reopening{{Row: m.Row, Ask: m.Ask, Next: m.Ask, Failure: failure}})
	return err
}

// Reopening is a row that has ended and is to be open again.
type Reopening struct {
	Row       int
	Ask, Next int    // the ask that has ended, and the one that the row is then at
	Failure   string // of the ask that has ended, see Mark.Failure; "" = none
}

// ReopenRows makes rows of a batch open again, and returns how many it has moved.
func (t *Tally) ReopenRows(ctx context.Context, batch string, rows []Reopening) (n int, err error) {
	args := header()
	for _, r := range rows {
		args = append(args, r.Row, r.Ask, r.Next, r.Failure)
	}
	moved, err := reopenScript.Run(ctx, t.rdb, Keys(batch), args...).Int64Slice()
	if err != nil {
		return 0, fmt.Errorf("open %d rows of batch %s, from row %d: %w", len(rows), batch, rows[0].Row, err)
	}
	for _, m := range moved {
		n += int(m)
	}
	return n, nil
}

// Ended reports whether the batch of this task knows that the task has ended, or that
// its row was asked anew since. It is false for a task that is no batch's, and where the
// batch is gone.
func (t *Tally) Ended(ctx context.Context, id string) (bool, error) {
	_, over, err := t.Outcome(ctx, id)
	return over, err
}

// Outcome is Ended, and says how the task ended; "" where its row was asked anew since.
func (t *Tally) Outcome(ctx context.Context, id string) (status results.Status, over bool, err error) {
	batch, row, ask, ok := ParseTaskID(id)
	if !ok {
		return "", false, nil
	}
	at := int64(row - 1)
	var state, again *redis.StringCmd
	_, err = t.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		state, again = p.GetRange(ctx, StatesKey(batch), at, at), p.GetRange(ctx, AsksKey(batch), at, at)
		return nil
	})
	if err != nil {
		return "", false, fmt.Errorf("read row %d of batch %s: %w", row, batch, results.KeyFault(StatesKey(batch), err))
	}
	if state.Val() == "" {
		return "", false, nil
	}
	current := 1
	if again.Val() != "" {
		current = int(again.Val()[0]) + 1
	}
	ask = min(ask, MaxAsks)
	if ask != current {
		return "", ask < current, nil
	}
	status = statuses[state.Val()[0]]
	return status, status.Terminal(), nil
}
