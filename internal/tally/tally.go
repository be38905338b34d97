// Package tally keeps the states of the rows of batches, and their counts. Workers mark rows here; package batches makes
// the batches and reads them. The keys are those of a batch, which the documentation of batches.Client lists.
package tally

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/results"
)

// Tally is the tally of the batches in one Redis.
//
// The state of a row is a letter in a string, and each state has a counter in the batch's hash. One script moves a letter
// and both counters, so the counts add up to the rows at every moment.
//
// A task's record is another key, in a cluster on another node, so no step can change both. The record decides and is
// always written first. A process can die between the two:
//
//   - A worker has ended a record (1) and has not marked the row (2). asynq hands the task out again. The next worker finds
//     that it has ended, and marks the row from the record.
//   - A cancel has ended a record (1) and has not marked the row (2). The task leaves the queue only after 2, so a worker
//     gets it and does the same.
//   - The sweep ends the record of a turn that was gone. That task is in no queue and in no lane, so no worker gets it.
//     batches.Client.Repair compares records and states.
//
// So marks come twice, late and in any order; mark.lua says which ones count.
type Tally struct {
	rdb redis.UniversalClient
}

func New(rdb redis.UniversalClient) *Tally { return &Tally{rdb} }

// Keys are all keys of a batch, in the order that the scripts expect.
func Keys(id string) []string {
	return []string{rediskey.Batch(id), rediskey.BatchStates(id), rediskey.BatchAsks(id), rediskey.BatchRows(id)}
}

//go:embed *.lua
var scripts embed.FS

var (
	markScript    = redisscript.Script(scripts, "batch.lua", "rows.lua", "mark.lua")
	reopenScript  = redisscript.Script(scripts, "batch.lua", "rows.lua", "reopen.lua")
	extendScript  = redisscript.Script(scripts, "batch.lua", "extend.lua")
	addedScript   = redisscript.Script(scripts, "batch.lua", "added.lua")
	settledScript = redisscript.Script(scripts, "settled.lua")
)

// Script is a script of another package over the keys of a batch. batch.lua stands before it.
func Script(files embed.FS, name string) *redis.Script {
	return redis.NewScript(redisscript.Source(scripts, "batch.lua") + redisscript.Source(files, name))
}

// Letters are the states in the string: lower case for a row that is open, upper case for one that has ended.
var Letters = map[results.Status]string{
	results.Queued: "q", results.Waiting: "w", results.Running: "r",
	results.Completed: "C", results.Failed: "F", results.Canceled: "X", results.Expired: "E",
}

var statuses = func() (of [256]results.Status) {
	for status, letter := range Letters {
		of[letter[0]] = status
	}
	return of
}()

func Status(letter byte) results.Status { return statuses[letter] }

// MaxAttempts bounds the attempts of a row: the number is kept in a byte. A run may go beyond it; those attempts count as
// the last one.
const MaxAttempts = 256

// OpenTTL is the longest that a batch stays open. The worker's sweep extends it.
const OpenTTL = 30 * 24 * time.Hour

// Seconds is d as EXPIRE takes it, rounded up.
func Seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// Mark is the state of a row.
type Mark struct {
	Batch   string
	Row     int // from 1
	Attempt int // from 1
	Status  results.Status

	Class string        // of a failure
	Code  int           // of a failure; 0 = none
	Usage results.Usage // of a row that has ended: everything that the attempt was billed for
}

// Of returns the mark that follows from a record. ok is false for a task that is not a row of a batch: its id is not the
// one that TaskID makes of its batch_id.
func Of(r *results.Result) (m Mark, ok bool) {
	batch, row, attempt, ok := ParseTaskID(r.ID)
	if !ok || batch != r.BatchID {
		return Mark{}, false
	}
	m = Mark{Batch: batch, Row: row, Attempt: attempt, Status: r.Status, Usage: r.Billed()}
	if e := r.Error; e != nil && r.Status == results.Failed {
		m.Class, m.Code = e.Class, e.Code
	}
	return m, true
}

// FailedField begins the fields of a batch's hash that count failures: failed:CLASS:CODE.
const FailedField = "failed:"

// Failure is the name under which the batch's hash counts the failure, without FailedField. It is "" if the row has not
// failed.
func (m Mark) Failure() string {
	if m.Status != results.Failed {
		return ""
	}
	return m.Class + ":" + strconv.Itoa(m.Code)
}

func (m Mark) args() []any {
	return []any{m.Row, min(m.Attempt, MaxAttempts), Letters[m.Status], m.Failure(),
		m.Usage.TokenCount, m.Usage.OutputCount, m.Usage.InputCount}
}

// NoteEnqueued notes that the rows up to this one are enqueued, unless the batch is gone or canceled.
func (t *Tally) NoteEnqueued(ctx context.Context, batch string, row int) (there, canceled bool, err error) {
	n, err := addedScript.Run(ctx, t.rdb, Keys(batch), row, Seconds(OpenTTL)).Int()
	if err != nil {
		return false, false, fmt.Errorf("note that batch %s is enqueued up to row %d: %w", batch, row, err)
	}
	return n != 0, n == 2, nil
}

// markChunk is how many rows one call moves.
const markChunk = 500

// Mark moves rows to the states of these marks. It may be repeated after any error. Marks of batches that are gone are
// ignored.
func (t *Tally) Mark(ctx context.Context, marks ...Mark) error {
	var calls []redisscript.Call
	for len(marks) > 0 {
		args := []any{results.At(time.Now()).String()}
		n := 0
		for n < len(marks) && n < markChunk && marks[n].Batch == marks[0].Batch {
			args = append(args, marks[n].args()...)
			n++
		}
		calls = append(calls, redisscript.Call{Script: markScript, Keys: Keys(marks[0].Batch), Args: args})
		marks = marks[n:]
	}
	for i, reply := range redisscript.Run(ctx, t.rdb, calls) {
		if err := reply.Err(); err != nil {
			return fmt.Errorf("mark rows of %s: %w", calls[i].Keys[0], results.KeyFault(calls[i].Keys[0], err))
		}
	}
	return nil
}

// MarkResult is Mark for a record. It ignores a task that is not a row of a batch.
func (t *Tally) MarkResult(ctx context.Context, r *results.Result) error {
	m, ok := Of(r)
	if !ok {
		return nil
	}
	return t.Mark(ctx, m)
}

// Along returns the mark as a command for another round trip, whose reply nobody reads. That is good enough for states
// that are no ends. A Redis that does not know the script yet learns it with the first end.
func (m Mark) Along(ctx context.Context) func(redis.Cmdable) {
	return func(c redis.Cmdable) {
		markScript.EvalSha(ctx, c, Keys(m.Batch), append([]any{results.At(time.Now()).String()}, m.args()...)...)
	}
}

// Reopening is a row that has ended and is to be open again.
type Reopening struct {
	Row           int
	Attempt, Next int    // the attempt that has ended, and the one that the row has from now on
	Failure       string // of the attempt that has ended, see Mark.Failure; "" if it is not known
}

// Reopen opens rows of a batch and returns how many it has opened. A row whose Attempt is not its current one is left
// alone.
func (t *Tally) Reopen(ctx context.Context, batch string, rows ...Reopening) (n int, err error) {
	args := []any{Seconds(OpenTTL)}
	for _, r := range rows {
		args = append(args, r.Row, r.Attempt, r.Next, r.Failure)
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

// ReopenResult opens the row of a task for the same attempt: someone has run the task by hand after it had ended.
func (t *Tally) ReopenResult(ctx context.Context, r *results.Result) error {
	m, ok := Of(r)
	if !ok {
		return nil
	}
	_, err := t.Reopen(ctx, m.Batch, Reopening{Row: m.Row, Attempt: m.Attempt, Next: m.Attempt, Failure: m.Failure()})
	return err
}

// Outcome says whether the batch of a task knows that the task has ended, and how: "" if its row has been opened for a
// later attempt since. ended is false for a task that is not a row of a batch, and if the batch is gone.
func (t *Tally) Outcome(ctx context.Context, id string) (status results.Status, ended bool, err error) {
	batch, row, attempt, ok := ParseTaskID(id)
	if !ok {
		return "", false, nil
	}
	at := int64(row - 1)
	var state, again *redis.StringCmd
	_, err = t.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		state, again = p.GetRange(ctx, rediskey.BatchStates(batch), at, at), p.GetRange(ctx, rediskey.BatchAsks(batch), at, at)
		return nil
	})
	if err != nil {
		return "", false, fmt.Errorf("read row %d of batch %s: %w", row, batch, results.KeyFault(rediskey.BatchStates(batch), err))
	}
	if state.Val() == "" {
		return "", false, nil
	}
	current := 1
	if again.Val() != "" {
		current = int(again.Val()[0]) + 1
	}
	attempt = min(attempt, MaxAttempts)
	if attempt != current {
		return "", attempt < current, nil
	}
	status = statuses[state.Val()[0]]
	return status, status.Terminal(), nil
}

// Ended is Outcome without the status.
func (t *Tally) Ended(ctx context.Context, id string) (bool, error) {
	_, ended, err := t.Outcome(ctx, id)
	return ended, err
}
