package batches

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

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Row is one row of a batch.
type Row struct {
	N        int // from 1
	CustomID string
	Columns  []string // the cells that are carried to the output, aligned with Spec.Columns

	// tasks.Chat is the question. Where its messages are too long for the queue they are not
	// in here but kept with the row's result: see tasks.Chat.HasBody.
	Chat *tasks.Chat

	// Ask is the how manieth ask is the row's current one, from 1. Set by Rows.
	Ask int
}

// TaskID is the id of the row's current task.
func (r *Row) TaskID(batch string) string { return TaskID(batch, r.N, max(1, r.Ask)) }

// ChunkRows is how many rows are added, and kept, together. Compressed together they
// take a third of the room that they take alone; more rows gain little.
const ChunkRows = 250

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
	CustomID string      `json:"i,omitempty"`
	Columns  []string    `json:"c,omitempty"`
	Chat     *tasks.Chat `json:"q"`
}

// packRows makes a chunk of rows. The messages of a question that is too long for the
// queue's payload are left out: the task's record has them, and keeps them.
func packRows(rows []Row) (chunk []byte, bodies int, err error) {
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
		if messages, err := chat.SplitBody(); err != nil {
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
func unpackRows(batch string, first int, chunk []byte) ([]Row, error) {
	lines := json.NewDecoder(flate.NewReader(bytes.NewReader(chunk)))
	var rows []Row
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
		rows = append(rows, Row{N: first + len(rows), CustomID: s.CustomID, Columns: s.Columns, Chat: s.Chat})
	}
}

func chunkOf(row int) int { return (row - 1) / ChunkRows }

// whole checks that rows are a chunk of a batch.
func whole(rows []Row, total int) error {
	if len(rows) == 0 {
		return invalid("rows", "none to add")
	}
	first, last := rows[0].N, rows[len(rows)-1].N
	switch {
	case first%ChunkRows != 1 || len(rows) > ChunkRows || last > total || len(rows) < ChunkRows && last != total:
		return invalid("rows", "%d to %d of %d are no chunk: chunks are of %d rows, the last one may be shorter", first, last, total, ChunkRows)
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
// KEYS: batch, states, asks, rows. ARGV: the last one, TTL in tally.Seconds.
var addedScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'enqueued') or 0) < tonumber(ARGV[1]) then
	redis.call('HSET', KEYS[1], 'enqueued', ARGV[1])
end
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[2]) end
if redis.call('HEXISTS', KEYS[1], 'canceled_at') == 1 then return 2 end
return 1`)

// Add enqueues a chunk of a batch's rows, and keeps what is needed to ask them again
// and to write their output: ChunkRows rows, of which the first is the one behind
// Status.Enqueued, or fewer at the end. It may be repeated after any error. A row that
// cannot be asked is an *InvalidError; a batch that somebody has canceled
// ErrCanceled, and nothing of the chunk is asked then.
func (c *Client) Add(ctx context.Context, id string, rows []Row) error {
	b, err := c.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case b.Kind == KindRun:
		return fmt.Errorf("%s: %w", id, ErrIsRun)
	case !b.CanceledAt.IsZero():
		return fmt.Errorf("%s: %w", id, ErrCanceled)
	}
	if err := whole(rows, b.Rows); err != nil {
		return err
	}
	chunk, bodies, err := packRows(rows)
	if err != nil {
		return err
	}
	// The rows first: a task whose row is not kept could not be asked again.
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		k := chunkOf(rows[0].N)
		p.HSet(ctx, tally.RowsKey(id), k, c.results.Keys.Seal(id, fieldRows(k), string(chunk)))
		if bodies > 0 {
			p.HSetNX(ctx, tally.Key(id), "bodies", 1)
		}
		if slices.ContainsFunc(rows, blocks) {
			p.HSetNX(ctx, tally.Key(id), "blocks", 1)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep rows %d to %d of batch %s: %w", rows[0].N, rows[len(rows)-1].N, id, err)
	}
	if _, err := c.ask(ctx, b, rows); err != nil {
		return err
	}
	last := rows[len(rows)-1].N
	n, err := addedScript.Run(ctx, c.rdb, tally.Keys(id), last, tally.Seconds(tally.OpenTTL)).Int()
	switch {
	case err != nil:
		return fmt.Errorf("note that batch %s is enqueued up to row %d: %w", id, last, err)
	case n == 0:
		return fmt.Errorf("%s: %w", id, ErrNotFound)
	case n == 2:
		// Cancel came between our look and here, and may not have seen our rows.
		if err := c.cancelRows(ctx, id, rows); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", id, ErrCanceled)
	}
	return nil
}

// blocks reports whether a row would hold its conversation up if it failed.
func blocks(row Row) bool { return row.Chat.OnTurnFailure == tasks.TurnBlock && row.Chat.Lane() != "" }

// ask enqueues rows of a batch, each under the name of its current ask. It returns how
// many of them were not in the queue.
func (c *Client) ask(ctx context.Context, b *Status, rows []Row) (n int, err error) {
	items := make([]tasks.Item, len(rows))
	for i := range rows {
		items[i] = c.item(b, &rows[i])
	}
	for i, e := range c.tasks.EnqueueAll(ctx, items) {
		switch {
		case e.Err == nil:
			n++
		case !errors.Is(e.Err, tasks.ErrDuplicate):
			return n, fmt.Errorf("row %d: %w", rows[i].N, e.Err)
		}
	}
	return n, nil
}

func (c *Client) item(b *Status, row *Row) tasks.Item {
	chat := *row.Chat
	chat.BatchID, chat.CustomID = b.ID, row.CustomID
	if chat.ExpiresAt.IsZero() || row.Ask > 1 { // who asks again says until when
		chat.ExpiresAt = b.ExpiresAt
	}
	return tasks.Item{Chat: &chat, Options: tasks.Options{
		ID: row.TaskID(b.ID), Queue: b.Queue, Attempts: b.Attempts, Timeout: b.Timeout,
		// As long as the batch may be open; once it has ended the sweep shortens it.
		Keep: max(tally.OpenTTL, b.Keep),
		// What asynq would keep of a completed task is in the batch.
		Retention: -1,
		InBatch:   true,
	}}
}

// Rows yields a batch's rows in their order. Rows that are not in Redis are told as a
// *MissingRowsError, at most one chunk at a time, and the sequence goes on behind them.
// Any other error ends it.
func (c *Client) Rows(ctx context.Context, id string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		states, err := c.States(ctx, id)
		if err != nil {
			yield(Row{}, err)
			return
		}
		for first := 1; first <= states.Len(); first += ChunkRows {
			rows, err := c.chunk(ctx, id, states, chunkOf(first))
			if err != nil {
				_, missing := errors.AsType[*MissingRowsError](err)
				if !yield(Row{}, err) || !missing {
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
func (c *Client) Row(ctx context.Context, id string, states *States, row int) (Row, error) {
	rows, err := c.chunk(ctx, id, states, chunkOf(row))
	if err != nil {
		return Row{}, err
	}
	return rows[(row-1)%ChunkRows], nil
}

// chunk reads one chunk of a batch.
func (c *Client) chunk(ctx context.Context, id string, states *States, k int) ([]Row, error) {
	first := k*ChunkRows + 1
	packed, err := c.rdb.HGet(ctx, tally.RowsKey(id), strconv.Itoa(k)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, &MissingRowsError{From: first, To: min(first+ChunkRows-1, states.Len())}
	case err != nil:
		return nil, fmt.Errorf("read rows of batch %s: %w", id, err)
	}
	if packed, err = c.results.Keys.Open(id, fieldRows(k), packed); err != nil {
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
// tasks.Chat.HasBody. A row whose messages are gone is left as it is.
func (c *Client) Complete(ctx context.Context, id string, rows []Row) error {
	var apart []*Row
	for i := range rows {
		if rows[i].Chat.HasBody() {
			apart = append(apart, &rows[i])
		}
	}
	// The current ask has them if it was enqueued, else the one before it.
	for _, back := range []int{0, 1} {
		ids, bodies := make([]string, len(apart)), make([]*redis.StringCmd, len(apart))
		_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, row := range apart {
				ids[i] = TaskID(id, row.N, max(1, row.Ask-back))
				bodies[i] = p.Get(ctx, results.BodyKey(ids[i]))
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("read questions of batch %s: %w", id, err)
		}
		var left []*Row
		for i, row := range apart {
			if bodies[i].Val() == "" {
				left = append(left, row)
				continue
			}
			if err := row.Chat.OpenBody(c.results.Keys, ids[i], []byte(bodies[i].Val())); err != nil {
				return fmt.Errorf("row %d: %w", row.N, err)
			}
			row.Chat.Preview = ""
		}
		apart = left
	}
	return nil
}
