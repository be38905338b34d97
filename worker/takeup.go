package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// begin reads the payload, if it can be read, and takes the task up.
func (a *attempt) begin(ctx context.Context, t *asynq.Task) (invalid, err error) {
	queue, _ := asynq.GetQueueName(ctx)
	seed := results.Result{ID: a.id, Queue: queue}
	if t.Type() == tasks.TypeChat {
		a.chat, invalid = tasks.Decode(t.Payload())
		a.calls.chat = a.chat
	} else {
		invalid = &tasks.InvalidError{Field: "type", Reason: fmt.Sprintf("%q, but this worker takes tasks of type %s only", t.Type(), tasks.TypeChat)}
	}
	if invalid == nil {
		seed = a.chat.Record(a.id, queue)
		if a.sealed = a.chat.Open(a.results.Keys, a.id); !keyMissing(a.sealed) {
			invalid, a.sealed = a.sealed, nil
		}
	}
	a.rec, err = a.results.Begin(ctx, seed, invalid == nil && a.chat.HasBody(), along(ctx, seed, results.Running)...)
	if err != nil {
		return nil, err
	}
	a.rec.Over = func(ctx context.Context) (bool, error) { return a.tally.Ended(ctx, a.id) }
	a.rec.Result.Queue = queue // of a batch's task that has ended the record does not say it
	return invalid, nil
}

// notBegun ends an attempt that could not take its task up. Where the record's key holds
// something else nobody ever can: the task is archived, and its batch and its conversation
// go on without it.
func (a *attempt) notBegun(ctx context.Context, err error) error {
	v := judge(err, history{})
	if a.damaged(err) && a.chat != nil {
		queue, _ := asynq.GetQueueName(ctx)
		r := a.chat.Record(a.id, queue)
		r.Status, r.Error = results.Failed, failure(v)
		if err := a.tally.MarkResult(ctx, &r); err != nil && !a.damaged(err) {
			return judge(err, history{}).toAsynq()
		}
		if r.Lane != "" {
			if err := a.lanes.Leave(ctx, lane.Place{Lane: r.Lane, Queue: queue, ID: a.id}); err != nil && !a.damaged(err) {
				return judge(err, history{}).toAsynq()
			}
		}
	}
	return v.toAsynq()
}

// prepare completes the payload and checks it: whoever enqueued it may not have
// used our client.
func (a *attempt) prepare() (err error) {
	if a.sealed != nil {
		return a.sealed
	}
	if a.coze, err = a.calls.client(a.chat.Credential); err != nil {
		return err
	}
	a.calls.coze = a.coze
	if a.chat.HasBody() {
		if err := a.chat.OpenBody(a.results.Keys, a.id, a.rec.Body); err != nil {
			return err
		}
	}
	if a.chat.UserID == "" {
		a.chat.UserID = tasks.DefaultUserID
	}
	if a.chat.BotID == "" {
		a.chat.BotID = a.cfg.BotID
	}
	if a.chat.BotID == "" {
		return &tasks.InvalidError{Field: "bot_id", Reason: "the question names no bot and the worker has no default: set COZE_BOT_ID or --bot"}
	}
	a.rec.Result.BotID, a.rec.Result.UserID = a.chat.BotID, a.chat.UserID
	return a.chat.Validate()
}

// observe begins to count and to trace an attempt that report will end.
func (a *attempt) observe(tracing *telemetry.Tracing) {
	a.spans = tracing.Begin(&a.rec.Result, a.payloadTrace(), a.began, a.first())
	a.cfg.Metrics.Begin(&a.rec.Result, a.first())
}

// first reports whether nobody has taken the task up before: the record's beginning is
// this attempt's.
func (a *attempt) first() bool {
	r := &a.rec.Result
	return !r.CreatedAt.IsZero() && !r.StartedAt.Before(a.began.Truncate(time.Millisecond))
}

// payloadTrace is the traceparent of the task's payload.
func (a *attempt) payloadTrace() string {
	if a.chat == nil {
		return ""
	}
	return a.chat.TraceParent
}

// replay handles a task that comes back although its record has ended. Either a
// worker died between the two: then the lane is left again, as that may be what is
// missing. Or somebody wants a failed task asked again ("run" in asynqmon's list of
// archived tasks): then again is true, and the record is open.
func (a *attempt) replay(ctx context.Context) (again bool, err error) {
	r := &a.rec.Result
	if again, err := a.wanted(ctx); err != nil || again {
		return again, err
	}
	if err := a.markEnd(ctx); err != nil && !a.damaged(err) {
		return false, judge(err, history{}).toAsynq()
	}
	if !a.blocks() {
		if err := a.leave(ctx); err != nil && !a.damaged(err) {
			return false, judge(err, history{}).toAsynq()
		}
	}
	if r.Status == results.Failed && r.Error != nil && !(a.ofBatch() && !a.blocks()) {
		return false, a.toAsynq(Verdict{Action: Fail, Class: coze.Class(r.Error.Class), Err: errors.New(r.Error.Message)})
	}
	return false, nil
}

// wanted tells whether a failed task was run again by hand, and opens its record if
// so. asynq notes when it archives a task: one that came back because its worker died
// was not archived since its record ended.
func (a *attempt) wanted(ctx context.Context) (bool, error) {
	r := &a.rec.Result
	if r.Status != results.Failed || r.CompletedAt.IsZero() || a.ofBatch() && !a.blocks() {
		return false, nil
	}
	info, err := a.inspector.GetTaskInfo(r.Queue, a.id)
	if err != nil {
		return false, judge(err, history{}).toAsynq()
	}
	if info.LastFailedAt.Before(r.CompletedAt.Truncate(time.Second)) {
		return false, nil
	}
	if err := a.tally.Reopen(ctx, r); err != nil { // before the record: a death between the two brings the task back
		return false, judge(err, history{}).toAsynq()
	}
	if err := a.results.Reopen(ctx, a.id); err != nil {
		return false, judge(err, history{}).toAsynq()
	}
	a.log.Info("a failed task is asked again, as somebody ran it by hand")
	return true, nil
}
