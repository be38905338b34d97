package worker

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// replay handles a task that comes back although its record has ended. Either a worker died between that end and the next
// step: then the task is handed on once more. Or an operator runs a failed task again (asynqmon, archived tasks, "run"):
// then again is true, and the record is open.
func (a *attempt) replay(ctx context.Context) (again bool, err error) {
	r := &a.rec.Result
	if again, err = a.runByHand(ctx); err == nil && !again {
		err = a.handOn(ctx, r, a.blocks())
	}
	if err != nil || again {
		return again, judge(err, history{}).toAsynq()
	}
	if r.Status == results.Failed && r.Error != nil && !(a.ofBatch() && !a.blocks()) {
		return false, a.toAsynq(Verdict{Action: Fail, Class: coze.Class(r.Error.Class), Err: errors.New(r.Error.Message)})
	}
	return false, nil
}

// runByHand reports whether an operator runs a failed task again, and reopens its record if so. asynq notes when it archives
// a task. A task that came back because its worker died was not archived since its record ended.
func (a *attempt) runByHand(ctx context.Context) (bool, error) {
	r := &a.rec.Result
	if r.Status != results.Failed || r.CompletedAt.IsZero() || a.ofBatch() && !a.blocks() {
		return false, nil
	}
	info, err := a.inspector.GetTaskInfo(r.Queue, a.id)
	if err != nil || info.LastFailedAt.Before(r.CompletedAt.Truncate(time.Second)) {
		return false, err
	}
	if err := a.tally.ReopenResult(ctx, r); err != nil { // before the record: a death between the two brings the task back
		return false, err
	}
	if err := a.records.Reopen(ctx, a.id); err != nil {
		return false, err
	}
	a.log.Info("a failed task is asked again, as somebody ran it by hand")
	return true, nil
}

// notBegun ends an attempt that could not begin on its record. If the record's key holds something else, no attempt ever
// can: the task is archived, and its batch and its conversation continue without it.
func (a *attempt) notBegun(ctx context.Context, err error) error {
	v := judge(err, history{})
	if a.damaged(err) && a.chat != nil {
		queue, _ := asynq.GetQueueName(ctx)
		r := a.chat.Record(a.id, queue)
		r.Status, r.Error = results.Failed, failure(v)
		if err := a.handOn(ctx, &r, false); err != nil {
			return judge(err, history{}).toAsynq()
		}
	}
	return v.toAsynq()
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
