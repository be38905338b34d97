package tasks

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// BatchRow is one row of a batch.
type BatchRow struct {
	N        int // from 1
	CustomID string
	Columns  []string // the cells that are carried to the output, aligned with Batch.Columns

	// Chat is the question. Where its messages are too long for the queue they are not
	// in here but kept with the row's result: see Chat.HasBody.
	Chat *Chat

	// Ask is the how manieth ask is the row's current one, from 1. Set by Rows.
	Ask int
}

// TaskID is the id of the row's current task.
func (r *BatchRow) TaskID(batch string) string { return BatchTaskID(batch, r.N, max(1, r.Ask)) }

// BatchChunk is how many rows are added, and kept, together. Compressed together they
// take a third of the room that they take alone; more rows gain little.
const BatchChunk = 250

// MissingRowsError says that rows of a batch are not in Redis: they were never added,
// or their chunk was evicted.
type MissingRowsError struct {
	From, To int // rows, from 1, both included
}

func (e *MissingRowsError) Error() string {
	if e.From == e.To {
		return fmt.Sprintf("row %d of the batch is not in Redis", e.From)
	}
	return fmt.Sprintf("rows %d to %d of the batch are not in Redis", e.From, e.To)
}

// storedRow is a row as its chunk keeps it: a line of JSON.
type storedRow struct {
	CustomID string   `json:"i,omitempty"`
	Columns  []string `json:"c,omitempty"`
	Chat     *Chat    `json:"q"`
}

// packRows makes a chunk of rows. The messages of a question that is too long for the
// queue's payload are left out: the task's record has them, and keeps them.
func packRows(rows []BatchRow) (chunk []byte, bodies int, err error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return nil, 0, err
	}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for i := range rows {
		row := &rows[i]
		chat := *row.Chat
		if messages, err := chat.split(); err != nil {
			return nil, 0, fmt.Errorf("row %d: %w", row.N, err)
		} else if messages != nil {
			bodies++
		}
		chat.BatchID, chat.CustomID = "", "" // kept once
		if err := lines.Encode(storedRow{CustomID: row.CustomID, Columns: row.Columns, Chat: &chat}); err != nil {
			return nil, 0, fmt.Errorf("row %d: %w", row.N, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, 0, err
	}
	return packed.Bytes(), bodies, nil
}

// unpackRows reads what packRows has made of the rows from first on.
func unpackRows(batch string, first int, chunk []byte) ([]BatchRow, error) {
	lines := json.NewDecoder(flate.NewReader(bytes.NewReader(chunk)))
	var rows []BatchRow
	for {
		var s storedRow
		err := lines.Decode(&s)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err == nil && s.Chat == nil {
			err = errors.New("it has no question")
		}
		if err != nil {
			return nil, fmt.Errorf("read row %d of batch %s: %w", first+len(rows), batch, err)
		}
		s.Chat.BatchID, s.Chat.CustomID = batch, s.CustomID
		rows = append(rows, BatchRow{N: first + len(rows), CustomID: s.CustomID, Columns: s.Columns, Chat: s.Chat})
	}
}

func chunkOf(row int) int { return (row - 1) / BatchChunk }

// whole checks that rows are a chunk of a batch.
func whole(rows []BatchRow, total int) error {
	if len(rows) == 0 {
		return invalid("rows", "none to add")
	}
	first, last := rows[0].N, rows[len(rows)-1].N
	switch {
	case first%BatchChunk != 1 || len(rows) > BatchChunk || last > total || len(rows) < BatchChunk && last != total:
		return invalid("rows", "%d to %d of %d are no chunk: chunks are of %d rows, the last one may be shorter", first, last, total, BatchChunk)
	}
	for i := range rows {
		if rows[i].N != first+i {
			return invalid("rows", "row %d follows row %d", rows[i].N, first+i-1)
		}
		if rows[i].Chat == nil {
			return invalid("rows", "row %d has no question", rows[i].N)
		}
	}
	return nil
}

// addedScript notes that rows of a batch were enqueued and answers as noteScript.
//
// KEYS: batch, states, asks, rows. ARGV: the last one, TTL in seconds.
var addedScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'enqueued') or 0) < tonumber(ARGV[1]) then
	redis.call('HSET', KEYS[1], 'enqueued', ARGV[1])
end
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[2]) end
if redis.call('HEXISTS', KEYS[1], 'canceled_at') == 1 then return 2 end
return 1`)

// Add enqueues a chunk of a batch's rows, and keeps what is needed to ask them again
// and to write their output: BatchChunk rows, of which the first is the one behind
// Batch.Enqueued, or fewer at the end. It may be repeated after any error. A row that
// cannot be asked is an *InvalidError; a batch that somebody has canceled
// ErrBatchCanceled, and nothing of the chunk is asked then.
func (bs *Batches) Add(ctx context.Context, id string, rows []BatchRow) error {
	b, err := bs.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case b.Kind == BatchRun:
		return fmt.Errorf("%s: %w", id, ErrBatchIsRun)
	case !b.CanceledAt.IsZero():
		return fmt.Errorf("%s: %w", id, ErrBatchCanceled)
	}
	if err := whole(rows, b.Rows); err != nil {
		return err
	}
	chunk, bodies, err := packRows(rows)
	if err != nil {
		return err
	}
	// The rows first: a task whose row is not kept could not be asked again.
	_, err = bs.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		k := chunkOf(rows[0].N)
		p.HSet(ctx, rowsKey(id), k, bs.results.Keys.Seal(id, fieldRows(k), string(chunk)))
		if bodies > 0 {
			p.HSetNX(ctx, batchKey(id), "bodies", 1)
		}
		if slices.ContainsFunc(rows, blocks) {
			p.HSetNX(ctx, batchKey(id), "blocks", 1)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep rows %d to %d of batch %s: %w", rows[0].N, rows[len(rows)-1].N, id, err)
	}
	if _, err := bs.ask(ctx, b, rows); err != nil {
		return err
	}
	last := rows[len(rows)-1].N
	n, err := addedScript.Run(ctx, bs.rdb, batchKeys(id), last, seconds(openBatchTTL)).Int()
	switch {
	case err != nil:
		return fmt.Errorf("note that batch %s is enqueued up to row %d: %w", id, last, err)
	case n == 0:
		return fmt.Errorf("%s: %w", id, ErrNoBatch)
	case n == 2:
		// Cancel came between our look and here, and may not have seen our rows.
		if err := bs.cancelRows(ctx, id, rows); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", id, ErrBatchCanceled)
	}
	return nil
}

// blocks reports whether a row would hold its conversation up if it failed.
func blocks(row BatchRow) bool { return row.Chat.OnTurnFailure == TurnBlock && row.Chat.Lane() != "" }

// ask enqueues rows of a batch, each under the name of its current ask. It returns how
// many of them were not in the queue.
func (bs *Batches) ask(ctx context.Context, b *Batch, rows []BatchRow) (n int, err error) {
	items := make([]Item, len(rows))
	for i := range rows {
		items[i] = bs.item(b, &rows[i])
	}
	for i, e := range bs.client.EnqueueAll(ctx, items) {
		switch {
		case e.Err == nil:
			n++
		case !errors.Is(e.Err, ErrDuplicate):
			return n, fmt.Errorf("row %d: %w", rows[i].N, e.Err)
		}
	}
	return n, nil
}

func (bs *Batches) item(b *Batch, row *BatchRow) Item {
	chat := *row.Chat
	chat.BatchID, chat.CustomID = b.ID, row.CustomID
	if chat.ExpiresAt.IsZero() || row.Ask > 1 { // who asks again says until when
		chat.ExpiresAt = b.ExpiresAt
	}
	return Item{Chat: &chat, Options: Options{
		ID: row.TaskID(b.ID), Queue: b.Queue, Attempts: b.Attempts, Timeout: b.Timeout,
		// As long as the batch may be open; once it has ended the sweep shortens it.
		Keep: max(openBatchTTL, b.Keep),
		// What asynq would keep of a completed task is in the batch.
		Retention: -1,
		kept:      true,
	}}
}

// Rows yields a batch's rows in their order. Rows that are not in Redis are told as a
// *MissingRowsError, at most one chunk at a time, and the sequence goes on behind them.
// Any other error ends it.
func (bs *Batches) Rows(ctx context.Context, id string) iter.Seq2[BatchRow, error] {
	return func(yield func(BatchRow, error) bool) {
		states, err := bs.States(ctx, id)
		if err != nil {
			yield(BatchRow{}, err)
			return
		}
		for first := 1; first <= states.Len(); first += BatchChunk {
			rows, err := bs.chunk(ctx, id, states, chunkOf(first))
			if err != nil {
				_, missing := errors.AsType[*MissingRowsError](err)
				if !yield(BatchRow{}, err) || !missing {
					return
				}
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// Row returns one row of a batch, from 1. One that is not in Redis is a
// *MissingRowsError.
func (bs *Batches) Row(ctx context.Context, id string, states *BatchStates, row int) (BatchRow, error) {
	rows, err := bs.chunk(ctx, id, states, chunkOf(row))
	if err != nil {
		return BatchRow{}, err
	}
	return rows[(row-1)%BatchChunk], nil
}

// chunk reads one chunk of a batch.
func (bs *Batches) chunk(ctx context.Context, id string, states *BatchStates, k int) ([]BatchRow, error) {
	first := k*BatchChunk + 1
	packed, err := bs.rdb.HGet(ctx, rowsKey(id), strconv.Itoa(k)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, &MissingRowsError{From: first, To: min(first+BatchChunk-1, states.Len())}
	case err != nil:
		return nil, fmt.Errorf("read rows of batch %s: %w", id, err)
	}
	if packed, err = bs.results.Keys.Open(id, fieldRows(k), packed); err != nil {
		return nil, fmt.Errorf("read rows of batch %s: %w", id, err)
	}
	rows, err := unpackRows(id, first, []byte(packed))
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Ask = states.Ask(rows[i].N)
	}
	return rows, nil
}

// Complete fills in the messages of rows that have them with their results: see
// Chat.HasBody. A row whose messages are gone is left as it is.
func (bs *Batches) Complete(ctx context.Context, id string, rows []BatchRow) error {
	var apart []*BatchRow
	for i := range rows {
		if rows[i].Chat.HasBody() {
			apart = append(apart, &rows[i])
		}
	}
	// The current ask has them if it was enqueued, else the one before it.
	for _, back := range []int{0, 1} {
		ids, bodies := make([]string, len(apart)), make([]*redis.StringCmd, len(apart))
		_, err := bs.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, row := range apart {
				ids[i] = BatchTaskID(id, row.N, max(1, row.Ask-back))
				bodies[i] = p.Get(ctx, results.BodyKey(ids[i]))
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("read questions of batch %s: %w", id, err)
		}
		var left []*BatchRow
		for i, row := range apart {
			if bodies[i].Val() == "" {
				left = append(left, row)
				continue
			}
			if err := row.Chat.OpenBody(bs.results.Keys, ids[i], []byte(bodies[i].Val())); err != nil {
				return fmt.Errorf("row %d: %w", row.N, err)
			}
			row.Chat.Preview = ""
		}
		apart = left
	}
	return nil
}
