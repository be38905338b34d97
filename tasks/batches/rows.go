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
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Row is one row of a batch.
type Row struct {
	N        int // from 1
	CustomID string
	Columns  []string // cells for the output, aligned with Spec.Columns

	// Chat is the question. Messages that are too long for the queue are not in it but with the row's result: see
	// tasks.Chat.HasBody and Client.Complete.
	Chat *tasks.Chat

	// Attempt is the number of the row's current attempt, from 1; 0 stands for 1. Client.Rows sets it.
	Attempt int
}

// TaskID is the id of the row's current task.
func (r *Row) TaskID(batch string) string { return TaskID(batch, r.N, max(1, r.Attempt)) }

// ChunkRows is how many rows are added and kept together. Compressed together they take a third of the room that each takes
// alone. Larger chunks gain little.
const ChunkRows = 250

// MissingRowsError says that rows of a batch are not in Redis: they were never added, or their chunk was evicted.
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

// packRows makes a chunk of rows. It leaves the messages out of a question that is too long for the queue's payload: they
// are kept with the task's record. bodies is the number of such questions.
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
		chat.BatchID, chat.CustomID, chat.Tenant = "", "", "" // they are in the batch and in storedRow
		if err := lines.Encode(storedRow{CustomID: row.CustomID, Columns: row.Columns, Chat: &chat}); err != nil {
			return nil, 0, fmt.Errorf("row %d: %w", row.N, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, 0, err
	}
	return packed.Bytes(), bodies, nil
}

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

func checkChunk(rows []Row, total int) error {
	if len(rows) == 0 {
		return invalid("rows", "none to add")
	}
	first, last := rows[0].N, rows[len(rows)-1].N
	if first%ChunkRows != 1 || len(rows) > ChunkRows || last > total || len(rows) < ChunkRows && last != total {
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

// Rows yields the rows of a batch in their order. Rows that are not in Redis come as a *MissingRowsError, at most a chunk at
// a time, and the sequence continues behind them. Any other error ends it.
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
				if !yield(Row{}, err) || !isMissing(err) {
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

// Row returns one row of a batch, from 1. A row that is not in Redis is a *MissingRowsError.
func (c *Client) Row(ctx context.Context, id string, states *States, row int) (Row, error) {
	rows, err := c.chunk(ctx, id, states, chunkOf(row))
	if err != nil {
		return Row{}, err
	}
	return rows[(row-1)%ChunkRows], nil
}

func (c *Client) chunk(ctx context.Context, id string, states *States, k int) ([]Row, error) {
	first := k*ChunkRows + 1
	packed, err := c.rdb.HGet(ctx, rediskey.BatchRows(id), strconv.Itoa(k)).Result()
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
		rows[i].Attempt = states.Attempt(rows[i].N)
	}
	return rows, nil
}

// Complete fills in the messages that are kept with the rows' results: see tasks.Chat.HasBody. A row whose messages are gone
// stays as it is.
func (c *Client) Complete(ctx context.Context, id string, rows []Row) error {
	var apart []*Row
	for i := range rows {
		if rows[i].Chat.HasBody() {
			apart = append(apart, &rows[i])
		}
	}
	// The current attempt has them if it was enqueued, else the one before it.
	for _, back := range []int{0, 1} {
		ids, bodies := make([]string, len(apart)), make([]*redis.StringCmd, len(apart))
		_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, row := range apart {
				ids[i] = TaskID(id, row.N, max(1, row.Attempt-back))
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
