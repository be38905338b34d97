package recovery

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/results"
)

// sweepLanes puts back turns of tenants and conversations that Redis has lost, resumes stuck conversations, and ends the
// records of tasks that are in a lane but not in the queue: no worker would ever get them.
func (s *Sweeper) sweepLanes(ctx context.Context) error {
	for _, queue := range s.Queues {
		n, err := asynqx.Refile(ctx, s.Redis, queue)
		if n > 0 {
			s.Log.Warn("rebuilt the turns of tenants, which Redis had lost", "queue", queue, "tasks", n)
		}
		if err != nil {
			return err
		}
	}
	n, err := s.Lanes.Rebuild(ctx, s.Queues)
	if n > 0 {
		s.Log.Warn("rebuilt the order of conversations, which Redis had lost", "turns", n)
	}
	if err != nil {
		return err
	}
	dropped, err := s.Lanes.Sweep(ctx)
	for _, place := range dropped {
		s.Log.Warn("a turn was gone from the queue, its conversation continues without it",
			"task", place.ID, "lane", place.Lane)
		r, err := s.Records.Cancel(ctx, place.ID)
		switch {
		case err == nil && r.Status == results.Waiting:
			err = s.end(ctx, results.Result{ID: place.ID}, results.Canceled,
				&results.Failure{Class: string(coze.ClassCanceled), Message: "gone from the queue before it had its answer"})
		case err == nil && r.Status.Terminal():
			err = s.Tally.MarkResult(ctx, r)
		}
		if err != nil && !errors.Is(err, results.ErrNotFound) {
			return err
		}
	}
	return err
}

// end ends the record of a task that no worker will get, and lets its conversation and its batch go on. A chat that the
// record names is canceled. A record that has ended stays.
func (s *Sweeper) end(ctx context.Context, seed results.Result, status results.Status, why *results.Failure) error {
	rec, err := s.Records.Begin(ctx, seed, false)
	if err != nil {
		return err
	}
	r := &rec.Result
	r.Queue = cmp.Or(r.Queue, seed.Queue)
	if rec.Made {
		ended, err := s.Tally.Ended(ctx, r.ID)
		if err != nil {
			return err
		}
		if ended {
			return s.Results.Delete(ctx, r.ID) // a run has collected it
		}
	}
	if !rec.Ended {
		if r.ChatID != "" {
			s.cancelChat(ctx, r)
		}
		r.Status, r.Error = status, why
		if err := rec.Finish(ctx, false); err != nil {
			return err
		}
	}
	if err := s.Tally.MarkResult(ctx, r); err != nil || r.Lane == "" {
		return err
	}
	return s.Lanes.Leave(ctx, lane.Place{Lane: r.Lane, Queue: r.Queue, ID: r.ID})
}

// cozeWait bounds the call to Coze for a lost task.
const cozeWait = 10 * time.Second

func (s *Sweeper) cancelChat(ctx context.Context, r *results.Result) {
	ctx, cancel := context.WithTimeout(ctx, cozeWait)
	defer cancel()
	if _, err := s.Coze.CancelChat(ctx, r.ConversationID, r.ChatID); err != nil {
		s.Log.Warn("could not cancel the chat of a task that is gone", "task", r.ID, "chat", r.ChatID, "err", err)
	}
}
