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

// along returns the command that notes a state in the task's batch, if it has one, to be sent in the round trip that writes
// the state. It is for states that are no end.
func along(ctx context.Context, r results.Result, state results.Status) []func(redis.Cmdable) {
	r.Status = state
	m, ok := tally.Of(&r)
	if !ok {
		return nil
	}
	return []func(redis.Cmdable){m.Along(ctx)}
}

// handOn notes an ended task in its batch and gives its turn to the next one, unless it blocks its conversation. It comes
// after the record has ended and before asynq hears of it, and can be repeated. The next turn learns which chat was this
// one's: it may have to tell its own question from one of the same words. A damaged batch or lane is damaged for all its
// tasks alike, and does not hold this one up.
func (a *attempt) handOn(ctx context.Context, r *results.Result, blocks bool) error {
	if err := a.tally.MarkResult(ctx, r); err != nil && !a.damaged(err) {
		return err
	}
	if r.Lane == "" || blocks {
		return nil
	}
	if err := a.lanes.LeaveAfter(ctx, placeOf(r), r.ChatID); err != nil && !a.damaged(err) {
		return err
	}
	return nil
}

// blocks reports whether the task has failed and holds its conversation up until an operator decides.
func (a *attempt) blocks() bool {
	return a.rec.Result.Status == results.Failed && a.chat != nil && a.chat.OnTurnFailure == tasks.TurnBlock
}

// alreadyEnded handles a task that came back although its batch knows its end, and whose record has been deleted since. A run
// deletes the record of an answer that is in its journal. The record that Begin made goes again, even if this worker shuts
// down: asynq puts the task back then, and the next attempt has less to find out.
func (a *attempt) alreadyEnded(ctx context.Context) (bool, error) {
	if !a.rec.Made {
		return false, nil
	}
	ctx = context.WithoutCancel(ctx)
	status, ended, err := a.tally.Outcome(ctx, a.id)
	if err != nil || !ended {
		return false, err
	}
	if r := &a.rec.Result; r.Lane != "" {
		if err := a.lanes.LeaveAfter(ctx, placeOf(r), r.ChatID); err != nil {
			return false, err
		}
	}
	if err := a.results.Delete(ctx, a.id); err != nil {
		return false, err
	}
	if status == results.Failed && a.chat != nil && a.chat.OnTurnFailure == tasks.TurnBlock {
		return true, errCollected // it was archived, and an operator ran it: no reader would get its answer
	}
	return true, nil
}

// forgetEarlierAsks takes the earlier asks of a batch's row out of asynq's archive. A failed turn that holds its conversation
// up stands there, and its row is asked again now. After a death before this the next attempt does it.
func (a *attempt) forgetEarlierAsks() {
	if !a.ofBatch() {
		return
	}
	batch, row, ask, _ := tally.ParseTaskID(a.id)
	for earlier := 1; earlier < ask; earlier++ {
		_ = a.inspector.DeleteTask(a.rec.Result.Queue, tally.TaskID(batch, row, earlier)) // most are not there
	}
}
