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

// replay is for a task that comes back although it has ended.
type replay struct{ *settlement }

// again handles a task whose record has ended. Either a worker died between that end and the next
// step: then the task is handed on once more. Or an operator runs a failed task again (asynqmon, archived tasks, "run"):
// then again is true, and the record is open.
func (p replay) again(ctx context.Context) (again bool, err error) {
	r := &p.rec.Result
	if again, err = p.runByHand(ctx); err == nil && !again {
		err = p.handOn(ctx, r, p.blocks())
	}
	if err != nil || again {
		return again, judge(err, history{}).toAsynq()
	}
	if r.Status == results.Failed && r.Error != nil && !(p.ofBatch() && !p.blocks()) {
		return false, p.toAsynq(Verdict{Action: Fail, Class: coze.Class(r.Error.Class), Err: errors.New(r.Error.Message)})
	}
	return false, nil
}

// runByHand reports whether an operator runs a failed task again, and reopens its record if so. asynq notes when it archives
// a task. A task that came back because its worker died was not archived since its record ended.
func (p replay) runByHand(ctx context.Context) (bool, error) {
	r := &p.rec.Result
	if r.Status != results.Failed || r.CompletedAt.IsZero() || p.ofBatch() && !p.blocks() {
		return false, nil
	}
	info, err := p.inspector.GetTaskInfo(r.Queue, p.id)
	if err != nil || info.LastFailedAt.Before(r.CompletedAt.Truncate(time.Second)) {
		return false, err
	}
	if err := p.tally.ReopenResult(ctx, r); err != nil { // before the record: a death between the two brings the task back
		return false, err
	}
	if err := p.records.Reopen(ctx, p.id); err != nil {
		return false, err
	}
	p.log.Info("a failed task is asked again, as somebody ran it by hand")
	return true, nil
}

// notBegun ends an attempt that could not begin on its record. If the record's key holds something else, no attempt ever
// can: the task is archived, and its batch and its conversation continue without it.
func (a *attempt) notBegun(ctx context.Context, err error) error {
	v := judge(err, history{})
	if a.damaged(err) && a.payload != nil {
		queue, _ := asynq.GetQueueName(ctx)
		r := a.payload.Record(a.id, queue)
		r.Status, r.Error = results.Failed, failure(v)
		if err := a.settlement.handOn(ctx, &r, false); err != nil {
			return judge(err, history{}).toAsynq()
		}
	}
	return v.toAsynq()
}

// alreadyEnded handles a task that came back although its batch knows its end, and whose record has been deleted since. A run
// deletes the record of an answer that is in its journal. The record that Begin made goes again, even if this worker shuts
// down: asynq puts the task back then, and the next attempt has less to find out.
func (p replay) alreadyEnded(ctx context.Context) (bool, error) {
	if !p.rec.Made {
		return false, nil
	}
	ctx = context.WithoutCancel(ctx)
	status, ended, err := p.tally.Outcome(ctx, p.id)
	if err != nil || !ended {
		return false, err
	}
	if r := &p.rec.Result; r.Lane != "" {
		if err := p.lanes.LeaveAfter(ctx, placeOf(r), r.ChatID); err != nil {
			return false, err
		}
	}
	if err := p.results.Delete(ctx, p.id); err != nil {
		return false, err
	}
	if status == results.Failed && p.payload != nil && p.payload.OnTurnFailure == tasks.TurnBlock {
		return true, errCollected // it was archived, and an operator ran it: no reader would get its answer
	}
	return true, nil
}

// forgetEarlierAsks takes the earlier asks of a batch's row out of asynq's archive. A failed turn that holds its conversation
// up stands there, and its row is asked again now. After a death before this the next attempt does it.
func (p replay) forgetEarlierAsks() {
	if !p.ofBatch() {
		return
	}
	batch, row, ask, _ := tally.ParseTaskID(p.id)
	for earlier := 1; earlier < ask; earlier++ {
		_ = p.inspector.DeleteTask(p.rec.Result.Queue, tally.TaskID(batch, row, earlier)) // most are not there
	}
}
