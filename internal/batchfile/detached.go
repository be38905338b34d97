package batchfile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Detached reads a batch in a shared Redis. Of one that is a run it knows only the states: the records are in its OUTPUT.
type Detached struct {
	Batch   *batches.Status
	Batches *batches.Client
	Results *results.Store
}

func (d *Detached) form() (s input.Form, err error) {
	if d.Batch.Sealed != nil {
		return s, fmt.Errorf("batch %s is %w", d.Batch.ID, d.Batch.Sealed)
	}
	if err := json.Unmarshal([]byte(d.Batch.Shape), &s); err != nil {
		return s, fmt.Errorf("read the form of batch %s: %w", d.Batch.ID, err)
	}
	return s, nil
}

// Took is the time from the batch's creation to its end; until now, if it has not ended.
func (d *Detached) Took() time.Duration {
	if d.Batch.EndedAt.IsZero() {
		return time.Since(d.Batch.CreatedAt)
	}
	return d.Batch.EndedAt.Sub(d.Batch.CreatedAt)
}

// detachedRow is one row of a batch with what became of it.
type detachedRow struct {
	Row    batches.Row     // only N and Ask if RowLost
	Result *results.Result // never nil; CustomID is set

	// Lost means that the row's record is gone from Redis: it has expired, or Redis has evicted it. Result says so in its
	// Error if the row had ended.
	Lost bool

	// RowLost means that the question is gone from Redis, so that the row cannot be asked again.
	RowLost bool
}

// each yields one record for each row, in the order of the file, and holds one chunk at a time. What is gone from Redis is
// yielded as such. With texts, long questions that are stored separately are read, too. An error ends the sequence.
//
// The record of a task decides. The batch's own state only says how a row ended whose record is gone.
func (d *Detached) each(ctx context.Context, texts bool) iter.Seq2[*detachedRow, error] {
	return func(yield func(*detachedRow, error) bool) {
		states, err := d.Batches.States(ctx, d.Batch.ID)
		if err != nil {
			yield(nil, err)
			return
		}
		chunk := make([]batches.Row, 0, batches.ChunkRows)
		flush := func() bool {
			records, err := d.read(ctx, states, chunk, texts)
			if err != nil {
				yield(nil, err)
				return false
			}
			chunk = chunk[:0]
			for _, r := range records {
				if !yield(r, nil) {
					return false
				}
			}
			return true
		}
		add := func(row batches.Row) bool {
			chunk = append(chunk, row)
			return len(chunk) < batches.ChunkRows || flush()
		}
		for row, err := range d.Batches.Rows(ctx, d.Batch.ID) {
			if missing, ok := errors.AsType[*batches.MissingRowsError](err); ok {
				for n := missing.From; n <= missing.To; n++ {
					if !add(batches.Row{N: n, Attempt: states.Attempt(n)}) {
						return
					}
				}
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !add(row) {
				return
			}
		}
		flush()
	}
}

func (d *Detached) read(ctx context.Context, states *batches.States, rows []batches.Row, texts bool) ([]*detachedRow, error) {
	if texts {
		if err := d.complete(ctx, rows); err != nil {
			return nil, err
		}
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].TaskID(d.Batch.ID)
	}
	found, err := d.Results.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	records := make([]*detachedRow, len(rows))
	for i, row := range rows {
		added := row.N <= d.Batch.Enqueued
		r := &detachedRow{Row: row, Result: found[i], RowLost: added && row.Chat == nil}
		if r.Result == nil {
			r.Lost = added
			r.Result = d.withoutRecord(ids[i], states.Status(row.N))
		}
		d.fill(r)
		records[i] = r
	}
	return records, nil
}

// complete reads the questions that are stored separately.
func (d *Detached) complete(ctx context.Context, rows []batches.Row) error {
	var apart []batches.Row
	for _, row := range rows {
		if row.Chat != nil && row.Chat.HasBody() {
			apart = append(apart, row) // it shares the chat, which is filled
		}
	}
	if len(apart) == 0 {
		return nil
	}
	return d.Batches.Complete(ctx, d.Batch.ID, apart)
}

// fill adds to the record what Redis keeps only in the row.
func (d *Detached) fill(r *detachedRow) {
	res := r.Result
	res.CustomID = cmp.Or(r.Row.CustomID, res.CustomID, strconv.Itoa(r.Row.N))
	if chat := r.Row.Chat; chat != nil {
		res.BotID = cmp.Or(res.BotID, chat.BotID, d.Batch.BotID)
		res.WorkflowID = cmp.Or(res.WorkflowID, chat.WorkflowID)
		res.UserID = cmp.Or(res.UserID, chat.UserID, tasks.DefaultUserID)
		res.ConversationID = cmp.Or(res.ConversationID, chat.ConversationID)
		res.ConversationKey = cmp.Or(res.ConversationKey, chat.ConversationKey)
	}
}

// withoutRecord stands in for a record that is not in Redis. If the row had ended it has failed: there is no answer.
func (d *Detached) withoutRecord(id string, status results.Status) *results.Result {
	r := &results.Result{ID: id, BatchID: d.Batch.ID, Status: status}
	if status.Terminal() {
		r.Status, r.Error = results.Failed, d.lostRecord(status)
	}
	return r
}

// lostRecord is the failure of a row that had ended and whose record is gone.
func (d *Detached) lostRecord(status results.Status) *results.Failure {
	return &results.Failure{
		Class:   "transient",
		Message: "its record has gone from Redis, where it had ended as " + string(status) + ": it has expired, or Redis has evicted it",
		Hint:    "ask it again with 'cozeq batch retry " + d.Batch.ID + " --status lost'; see that Redis evicts nothing (maxmemory-policy noeviction)",
	}
}

// OpenRows are rows of the batch that are in the queue or being asked, at most so many, spread evenly over those that are
// open.
func (d *Detached) OpenRows(ctx context.Context, most int) ([]progress.OpenRow, error) {
	states, err := d.Batches.States(ctx, d.Batch.ID)
	if err != nil {
		return nil, err
	}
	rows := states.Rows(func(s results.Status) bool { return !s.Terminal() })
	step := max(1, (len(rows)+most-1)/most)
	var ids []string
	for i := 0; i < len(rows); i += step {
		ids = append(ids, batches.TaskID(d.Batch.ID, rows[i], states.Attempt(rows[i])))
	}
	found, err := d.Results.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	flights := make([]progress.OpenRow, 0, len(found))
	for _, r := range found {
		if r != nil && !r.Status.Terminal() {
			flights = append(flights, progress.OpenRow{ID: r.ID, Lane: r.Lane})
		}
	}
	return flights, nil
}
