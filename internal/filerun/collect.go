package filerun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// collect writes down the rows that end, until ctx does. It returns the cause.
func (r *run) collect(ctx context.Context) error {
	var missing []string // tasks without a record, which the waiter has let go
	var reclaimAt time.Time
	for {
		next, cancel := ctx, context.CancelFunc(func() {})
		if len(missing) > 0 {
			if time.Now().After(reclaimAt) {
				var err error
				if missing, err = r.reclaim(ctx, missing); err != nil {
					return err
				}
				reclaimAt = time.Now().Add(reclaimAfter)
			}
			next, cancel = context.WithDeadline(ctx, reclaimAt)
		}
		res, err := r.waiter.Next(next)
		late := errors.Is(next.Err(), context.DeadlineExceeded) && ctx.Err() == nil
		cancel()
		gone, isGone := errors.AsType[*results.MissingError](err)
		switch {
		case err == nil:
			if err := r.record(ctx, res); err != nil {
				return err
			}
		case isGone:
			if len(missing) == 0 {
				reclaimAt = time.Now().Add(reclaimAfter)
			}
			missing = append(missing, gone.ID)
		case late:
		default:
			return err
		}
	}
}

// record writes down the end of a row, and only then lets the result leave Redis.
func (r *run) record(ctx context.Context, res *results.Result) error {
	r.recording.Lock()
	defer r.recording.Unlock()
	o := r.window.get(res.ID)
	if o == nil {
		return nil // it was reported twice
	}
	if res.Sealed != nil {
		// Redis keeps it, for the same run with the key.
		return fmt.Errorf("the answer to row %d is %w", o.row.N, res.Sealed)
	}
	if err := r.write(o.row, res); err != nil {
		return err
	}
	if res.Status == results.Failed {
		if err := r.block(ctx, o.row, res.ID); err != nil && !errors.Is(err, results.ErrNotFound) {
			return err
		}
	}
	r.releaser.add(res)
	r.mu.Lock()
	r.window.remove(res.ID)
	r.tally.Add(res, true)
	r.meter.Add(time.Now())
	r.budget.settle(res)
	r.mu.Unlock()
	r.window.leave()
	if r.job.OnRecord != nil {
		r.job.OnRecord(o.row, res)
	}
	if err := r.share(o, res); err != nil {
		return err
	}
	select {
	case r.ended <- struct{}{}:
	default:
	}
	r.show(false)
	r.stopIfEnded()
	return nil
}

// write puts a record where it is safe.
func (r *run) write(row *input.Row, res *results.Result) error {
	res.CustomID = row.CustomID
	if r.shared != nil {
		res.BatchID = r.journal.RunID()
	}
	line, err := output.EncodeRecord(res, row)
	if err != nil {
		return fmt.Errorf("row %d: %w", row.N, err)
	}
	if r.job.Output == "" && r.job.Stdout != nil {
		if _, err := r.job.Stdout.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write the record of row %d: %w", row.N, err)
		}
	}
	if err := r.journal.Record(row.N, line, res.Spent); err != nil {
		return err
	}
	r.handover.add(row.N)
	return nil
}

// share puts the answer to a row into the cache and gives it to all rows that wait for it. r.recording is held.
func (r *run) share(o *openRow, res *results.Result) error {
	if o.cacheKey == "" {
		return nil
	}
	answered := answercache.Cacheable(res)
	if answered {
		r.job.Cache.Put(o.cacheKey, res)
	}
	for _, waiting := range r.same.settle(o.cacheKey, answered) {
		if err := r.recordCached(waiting.row, res); err != nil {
			return err
		}
	}
	return nil
}

// recordCached writes down that a row has an earlier answer. r.recording is held.
func (r *run) recordCached(row *input.Row, earlier *results.Result) error {
	res := &results.Result{
		ID: r.journal.TaskID(row.N), Status: results.Completed, Cached: true,
		Answer: earlier.Answer, ContentType: earlier.ContentType, Parts: earlier.Parts,
		Reasoning: earlier.Reasoning, FollowUps: earlier.FollowUps,
		BotID: row.Chat.BotID, UserID: row.Chat.UserID,
		ConversationID: earlier.ConversationID, ChatID: earlier.ChatID,
		CompletedAt: earlier.CompletedAt,
	}
	if res.CompletedAt.IsZero() {
		res.CompletedAt = results.At(time.Now())
	}
	if err := r.write(row, res); err != nil {
		return err
	}
	r.count(res, true)
	if r.shared != nil {
		r.releaser.add(res) // it was never in Redis, but its row counts there
	}
	if r.job.OnRecord != nil {
		r.job.OnRecord(row, res)
	}
	r.show(false)
	return nil
}

// reclaimAfter is how long a run waits after the first record that is gone from Redis before it looks for others: they
// rarely go alone, and each look reads the whole window.
const reclaimAfter = 2 * time.Second

// reclaim enqueues the rows again whose records are gone from Redis, which was flushed or failed over to a replica that
// lacks them. What the journal knows of their chats goes with them. A row that is lost twice ends as failed.
//
// A record that was missing may be there again: the worker that has the task wrote it, or Enqueue did, which was repeated. Then
// it is waited for once more. Rows that are still being enqueued are returned, for the next time.
func (r *run) reclaim(ctx context.Context, missing []string) (later []string, err error) {
	later = r.window.notQueued(missing) // before queued: a row must be in one of them
	// The order of the input is that of a conversation's turns.
	for rows := range slices.Chunk(r.window.queued(), feedChunk) {
		found, err := r.job.Results.GetMany(ctx, ids(rows))
		if err != nil {
			return nil, err
		}
		var lost []*openRow
		var back []string
		for i, o := range rows {
			switch {
			case found[i] != nil:
				back = append(back, o.id)
			case o.lost:
				err := r.record(ctx, ended(o, results.Failed, results.Failure{
					Class:   classTransient,
					Message: "the question's record has gone from Redis twice",
					Hint:    "see that Redis does not evict keys (maxmemory-policy noeviction), then ask again with --retry-failed",
				}))
				if err != nil {
					return nil, err
				}
			default:
				o.lost = true
				lost = append(lost, o)
			}
		}
		if err := r.waiter.Add(ctx, back...); err != nil {
			return nil, err
		}
		if err := r.enqueue(ctx, lost); err != nil {
			return nil, err
		}
	}
	return later, nil
}

// classTransient is the class of a failure that may not happen again.
const classTransient = "transient"

func ids(rows []*openRow) []string {
	all := make([]string, len(rows))
	for i, o := range rows {
		all[i] = o.id
	}
	return all
}

// lastLook bounds the reading of what has ended while the run was cut short.
const lastLook = 10 * time.Second

// cutShort stops the worker, and writes down what has ended and how far the chats of the other rows have come. It returns
// why the run was cut short.
func (r *run) cutShort(ctx context.Context, why error) error {
	if r.job.Drain != nil {
		r.job.Drain()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	err := r.lastLook(ctx)
	if err == nil || journal.IsWriteError(why) && journal.IsWriteError(err) {
		return why // a full disk is reported once
	}
	return errors.Join(why, err)
}

func (r *run) lastLook(ctx context.Context) error {
	for rows := range slices.Chunk(r.window.all(), feedChunk) {
		found, err := r.job.Results.GetMany(ctx, ids(rows))
		if err != nil {
			return err
		}
		for _, res := range found {
			switch {
			case res == nil: // not enqueued yet: the next run asks it
			case res.Sealed != nil && res.Status.Terminal(): // the next run finds it ended
			case res.Status.Terminal():
				err = r.record(ctx, res)
			default:
				err = r.noteChat(res)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// noteChat writes down a chat that runs on in another process's worker, which does not call Progress here.
func (r *run) noteChat(res *results.Result) error {
	_, row, _, _ := batches.ParseTaskID(res.ID)
	if known, _ := r.journal.InFlight(row); res.ChatID == "" || res.ChatID == known.ChatID {
		return nil
	}
	return r.journal.Note(journal.Chat{
		Row: row, BotID: res.BotID,
		ConversationID: res.ConversationID, ConversationKey: res.ConversationKey, ChatID: res.ChatID,
	})
}
