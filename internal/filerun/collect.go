package filerun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// collect writes down the rows that end, until ctx does. It returns the cause.
func (r *run) collect(ctx context.Context) error {
	var reclaimAt time.Time // when lost records are looked for; zero = none is known
	for {
		if !reclaimAt.IsZero() && time.Now().After(reclaimAt) {
			reclaimAt = time.Time{}
			if err := r.reclaim(ctx); err != nil {
				return err
			}
		}
		next, cancel := ctx, context.CancelFunc(func() {})
		if !reclaimAt.IsZero() {
			next, cancel = context.WithDeadline(ctx, reclaimAt)
		}
		res, err := r.waiter.Next(next)
		late := errors.Is(next.Err(), context.DeadlineExceeded) && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			if err := r.record(ctx, res); err != nil {
				return err
			}
		case errors.Is(err, results.ErrNotFound):
			if reclaimAt.IsZero() {
				reclaimAt = time.Now().Add(reclaimAfter)
			}
		case late:
		default:
			return err
		}
	}
}

// record brings a row's end to safety, and only then lets go of it.
func (r *run) record(ctx context.Context, res *results.Result) error {
	r.recording.Lock()
	defer r.recording.Unlock()
	r.mu.Lock()
	f := r.flights[res.ID]
	r.mu.Unlock()
	if f == nil {
		return nil // told twice
	}
	if res.Sealed != nil {
		// Redis keeps it, for the same run with the key.
		return fmt.Errorf("the answer to row %d is %w", f.row.N, res.Sealed)
	}
	if err := r.write(f.row, res); err != nil {
		return err
	}
	if res.Status == results.Failed {
		if err := r.block(ctx, f.row, res.ID); err != nil && !errors.Is(err, results.ErrNotFound) {
			return err
		}
	}
	r.letGo(res)
	r.mu.Lock()
	delete(r.flights, res.ID)
	r.tally.Add(res, true)
	r.meter.Add(time.Now())
	r.budget.settle(res)
	r.mu.Unlock()
	<-r.window
	if r.OnRecord != nil {
		r.OnRecord(f.row, res)
	}
	if err := r.settleTwins(f.row, res); err != nil {
		return err
	}
	r.move()
	r.show(false)
	r.stopIfEnded()
	return nil
}

// write puts a record where it is safe.
func (r *run) write(row *input.Row, res *results.Result) error {
	res.CustomID = row.CustomID
	if r.Batches != nil {
		res.BatchID = r.journal.RunID()
	}
	line, err := output.EncodeRecord(res, row)
	if err != nil {
		return fmt.Errorf("row %d: %w", row.N, err)
	}
	if r.Output == "" && r.Stdout != nil {
		if _, err := r.Stdout.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write the record of row %d: %w", row.N, err)
		}
	}
	return r.journal.Record(row.N, line, res.Spent)
}

// reclaimAfter is how long a run waits, after it has heard of one record that is gone from Redis, before it looks for
// all: they seldom go alone, and each look reads the whole window.
const reclaimAfter = 2 * time.Second

// reclaim enqueues the rows again whose records are gone from Redis: it was flushed, or failed over to a replica that
// had not got them. What the journal knows of their chats goes with them. A row that is lost twice ends as failed.
func (r *run) reclaim(ctx context.Context) error {
	var open []*flight
	r.mu.Lock()
	for _, f := range r.flights {
		if f.queued {
			open = append(open, f)
		}
	}
	r.mu.Unlock()
	// In the order of the input, for the conversations' sake.
	slices.SortFunc(open, func(a, b *flight) int { return a.row.N - b.row.N })
	for chunk := range slices.Chunk(open, feedChunk) {
		there, err := r.Results.GetMany(ctx, ids(chunk))
		if err != nil {
			return err
		}
		var lost []*flight
		for i, f := range chunk {
			switch {
			case there[i] != nil:
			case f.lost:
				if err := r.record(ctx, lostTwice(f.id, f.row)); err != nil {
					return err
				}
			default:
				f.lost = true
				lost = append(lost, f)
			}
		}
		if err := r.enqueue(ctx, lost); err != nil {
			return err
		}
	}
	return nil
}

func ids(flights []*flight) []string {
	all := make([]string, len(flights))
	for i, f := range flights {
		all[i] = f.id
	}
	return all
}

func lostTwice(id string, row *input.Row) *results.Result {
	return &results.Result{
		ID: id, Status: results.Failed,
		Error: &results.Failure{
			Class:   "transient",
			Message: "the question's record has gone from Redis twice",
			Hint:    "see that Redis does not evict keys (maxmemory-policy noeviction), then ask again with --retry-failed",
		},
		BotID: row.Chat.BotID, ConversationID: row.Chat.ConversationID, ConversationKey: row.Chat.ConversationKey,
		CompletedAt: results.At(time.Now()),
	}
}

// lastLook bounds the reading of what has ended while the run was cut short.
const lastLook = 10 * time.Second

// cutShort stops the worker and writes down what has ended and how far the others' chats have come. It returns why the
// run was cut short.
func (r *run) cutShort(ctx context.Context, why error) error {
	if r.Drain != nil {
		r.Drain()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	err := r.lastLook(ctx)
	if err == nil || journal.IsWriteError(why) && journal.IsWriteError(err) {
		return why // a full disk is told once
	}
	return errors.Join(why, err)
}

func (r *run) lastLook(ctx context.Context) error {
	r.mu.Lock()
	open := slices.Collect(maps.Keys(r.flights))
	r.mu.Unlock()
	for chunk := range slices.Chunk(open, feedChunk) {
		there, err := r.Results.GetMany(ctx, chunk)
		if err != nil {
			return err
		}
		for _, res := range there {
			switch {
			case res == nil: // not enqueued yet: it is asked by who goes on
			case res.Sealed != nil && res.Status.Terminal(): // who goes on finds it ended
			case res.Status.Terminal():
				err = r.record(ctx, res)
			default:
				err = r.noteFlight(res)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// noteFlight writes down a chat that runs on: one of another process's worker, of whose steps this one was not told.
func (r *run) noteFlight(res *results.Result) error {
	_, row, _, _ := batches.ParseTaskID(res.ID)
	if known, _ := r.journal.InFlight(row); res.ChatID == "" || res.ChatID == known.ChatID {
		return nil
	}
	return r.journal.Note(journal.Chat{
		Cozeq: journal.EntryChat, Row: row, BotID: res.BotID,
		ConversationID: res.ConversationID, ConversationKey: res.ConversationKey, ChatID: res.ChatID,
	})
}
