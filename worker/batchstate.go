package worker

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// ofBatch reports whether the task is a row of a batch.
func (a *attempt) ofBatch() bool {
	_, ok := tally.Of(&a.rec.Result)
	return ok
}

// along is what tells the task's batch, if it has one, of a state that is no end: in
// the round trip that writes the state.
func along(ctx context.Context, r results.Result, state results.Status) []func(redis.Cmdable) {
	r.Status = state
	m, ok := tally.Of(&r)
	if !ok {
		return nil
	}
	return []func(redis.Cmdable){m.Along(ctx)}
}

// markEnd tells the task's batch how it ended. It comes after the record has ended and
// before asynq is told: see tally.Tally.
func (a *attempt) markEnd(ctx context.Context) error {
	return a.tally.MarkResult(ctx, &a.rec.Result)
}

// alreadyEnded handles a task that came back although its batch knows its end, and whose
// record somebody has deleted since, as a run does that has the answer in its journal.
// The record that was made for it goes again, even if this worker shuts down: asynq puts
// the task back then, and the next one has less to find out.
func (a *attempt) alreadyEnded(ctx context.Context) (bool, error) {
	if !a.rec.Made {
		return false, nil
	}
	ctx = context.WithoutCancel(ctx)
	status, ended, err := a.tally.Outcome(ctx, a.id)
	if err != nil || !ended {
		return false, err
	}
	if err := a.leave(ctx); err != nil {
		return false, err
	}
	if err := a.results.Delete(ctx, a.id); err != nil {
		return false, err
	}
	if status == results.Failed && a.chat != nil && a.chat.OnTurnFailure == tasks.TurnBlock {
		// It was archived, and somebody has run it there: its answer would reach nobody.
		return true, errCollected
	}
	return true, nil
}

// forgetEarlierAsks takes the earlier asks of a batch's row out of asynq's archive, where a
// turn that failed stands if it holds its conversation up: the row is asked again, and what
// is answered is nowhere failed. A death before that leaves it to the next attempt.
func (a *attempt) forgetEarlierAsks() {
	if !a.ofBatch() {
		return
	}
	batch, row, ask, _ := tally.ParseTaskID(a.id)
	for earlier := 1; earlier < ask; earlier++ {
		_ = a.inspector.DeleteTask(a.rec.Result.Queue, tally.TaskID(batch, row, earlier)) // most are not there
	}
}
