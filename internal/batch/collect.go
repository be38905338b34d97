package batch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cozeq/cozeq/results"
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
	res.CustomID = f.row.CustomID
	line, err := res.Encode()
	if err != nil {
		return fmt.Errorf("row %d: %w", f.row.N, err)
	}
	if r.Output == "" && r.Stdout != nil {
		if _, err := r.Stdout.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write the record of row %d: %w", f.row.N, err)
		}
	}
	if err := r.journal.record(f.row.N, line); err != nil {
		return err
	}
	if res.Status == results.Failed {
		if err := r.block(ctx, f.row, res.ID); err != nil && !errors.Is(err, results.ErrNotFound) {
			return err
		}
	}
	if r.Forget {
		// What cannot be deleted is memory for the time that results are kept, and no more than that.
		_ = r.Results.Delete(ctx, res.ID)
	}
	r.mu.Lock()
	delete(r.flights, res.ID)
	r.tally.add(res, true)
	r.meter.add(time.Now())
	r.mu.Unlock()
	<-r.window
	if r.OnRecord != nil {
		r.OnRecord(f.row, res)
	}
	r.show(false)
	r.stopIfEnded()
	return nil
}

// reclaimAfter is how long a run waits, after it has heard of one record that is gone from Redis, before it looks for
// all: they seldom go alone, and each look reads the whole window.
const reclaimAfter = 2 * time.Second

// reclaim enqueues the rows again whose records are gone from Redis: it was flushed, or failed over to a replica that
// had not got them. What the journal knows of their chats goes with them. A row that is lost twice ends as failed.
func (r *run) reclaim(ctx context.Context) error {
	r.mu.Lock()
	flights := maps.Clone(r.flights)
	maps.DeleteFunc(flights, func(_ string, f *flight) bool { return !f.queued })
	r.mu.Unlock()
	// In the order of the input, for the conversations' sake.
	ids := slices.SortedFunc(maps.Keys(flights), func(a, b string) int { return flights[a].row.N - flights[b].row.N })
	for _, id := range ids {
		_, err := r.Results.Get(ctx, id)
		if !errors.Is(err, results.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		f := flights[id]
		if f.lost {
			if err := r.record(ctx, lostTwice(id, f.row)); err != nil {
				return err
			}
			continue
		}
		f.lost = true
		if err := r.enqueue(ctx, id, f, true); err != nil {
			return err
		}
	}
	return nil
}

func lostTwice(id string, row *Row) *results.Result {
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
	if err := r.lastLook(ctx); err != nil {
		return errors.Join(why, err)
	}
	return why
}

func (r *run) lastLook(ctx context.Context) error {
	r.mu.Lock()
	ids := slices.Collect(maps.Keys(r.flights))
	r.mu.Unlock()

	// A Redis far away: 10,000 records one by one would take the better part of a minute.
	const readers = 16
	type found struct {
		res *results.Result
		err error
	}
	finds := make(chan found)
	next := make(chan string)
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			for id := range next {
				res, err := r.Results.Get(ctx, id)
				finds <- found{res, err}
			}
		})
	}
	go func() {
		for _, id := range ids {
			next <- id
		}
		close(next)
		reading.Wait()
		close(finds)
	}()

	var failed error
	for f := range finds {
		switch {
		case errors.Is(f.err, results.ErrNotFound) || failed != nil:
			// Not enqueued yet: it is asked by who goes on. Or nothing can be written any more.
		case f.err != nil:
			failed = f.err
		case f.res.Status.Terminal():
			failed = r.record(ctx, f.res)
		default:
			failed = r.noteFlight(f.res)
		}
	}
	return failed
}

// noteFlight writes down a chat that runs on: one of another process's worker, of whose steps this one was not told.
func (r *run) noteFlight(res *results.Result) error {
	_, row, _, _ := parseTaskID(res.ID)
	if known, _ := r.journal.flight(row); res.ChatID == "" || res.ChatID == known.ChatID {
		return nil
	}
	return r.journal.note(chat{
		Cozeq: entryChat, Row: row, BotID: res.BotID,
		ConversationID: res.ConversationID, ConversationKey: res.ConversationKey, ChatID: res.ChatID,
	})
}
