package worker

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// takeUp makes the attempt the owner of its task's record. over: there is nothing to do, and err is what asynq is told.
// invalid says why the question cannot be asked.
func (a *attempt) takeUp(ctx context.Context, t *asynq.Task) (invalid error, over bool, err error) {
	invalid, err = a.begin(ctx, t)
	back := replay{&a.settlement}
	if err == nil && a.rec.Ended {
		again, err := back.again(ctx)
		if err != nil || !again {
			return nil, true, err
		}
		invalid, err = a.begin(ctx, t)
		if err != nil {
			return nil, true, a.notBegun(ctx, err)
		}
	}
	if err != nil {
		return nil, true, a.notBegun(ctx, err)
	}
	if ended, err := back.alreadyEnded(ctx); err != nil || ended {
		return nil, true, judge(err, history{}).toAsynq()
	}
	back.forgetEarlierAsks()
	return invalid, false, nil
}

// begin decodes the payload and begins on the record, even for a payload that cannot be read: the record ends as failed.
func (a *attempt) begin(ctx context.Context, t *asynq.Task) (invalid, err error) {
	queue, _ := asynq.GetQueueName(ctx)
	seed := results.Result{ID: a.id, Queue: queue}
	switch t.Type() {
	case tasks.TypeChat, tasks.TypeWorkflow:
		a.payload, invalid = tasks.Decode(t.Payload())
		a.calls.payload = a.payload
		if invalid == nil && a.payload.Type() != t.Type() {
			invalid = &tasks.InvalidError{Field: "workflow_id", Reason: fmt.Sprintf("a task of type %s has one and no messages; one with messages is a chatflow's, of type %s", tasks.TypeWorkflow, tasks.TypeChat)}
		}
	default:
		invalid = &tasks.InvalidError{Field: "type", Reason: fmt.Sprintf("%q, but this worker takes tasks of types %s and %s only", t.Type(), tasks.TypeChat, tasks.TypeWorkflow)}
	}
	if invalid == nil {
		seed = a.payload.Record(a.id, queue)
		if a.sealed = a.payload.Open(a.results.Keys, a.id); !keyMissing(a.sealed) {
			invalid, a.sealed = a.sealed, nil
		}
	}
	a.rec, err = a.records.Begin(ctx, seed, invalid == nil && a.payload.HasBody(), along(ctx, seed, results.Running)...)
	if err != nil {
		return nil, err
	}
	a.rec.Over = func(ctx context.Context) (bool, error) { return a.tally.Ended(ctx, a.id) }
	a.rec.Result.Queue = queue // the record of a batch's row that has ended has none
	return invalid, nil
}

// prepare completes the payload and checks it, as its producer need not be tasks.Client.
func (a *attempt) prepare() (err error) {
	if a.sealed != nil {
		return a.sealed
	}
	if a.coze, err = a.cfg.client(a.payload.Credential); err != nil {
		return err
	}
	a.calls.coze = a.coze
	if a.payload.HasBody() {
		if err := a.payload.OpenBody(a.results.Keys, a.id, a.rec.Body); err != nil {
			return err
		}
	}
	a.payload.UserID = cmp.Or(a.payload.UserID, tasks.DefaultUserID)
	if !a.payload.IsWorkflow() && a.payload.Holder() == "" {
		a.payload.BotID = a.cfg.BotID
	}
	if !a.payload.IsWorkflow() && a.payload.Holder() == "" {
		return &tasks.InvalidError{Field: "bot_id", Reason: "the question names no bot and the worker has no default: set COZE_BOT_ID or --bot"}
	}
	a.rec.Result.BotID, a.rec.Result.UserID = a.payload.BotID, a.payload.UserID
	if a.payload.Refused != nil {
		return a.payload.Refused
	}
	return a.payload.Validate()
}

// observe begins to count and to trace the attempt; report ends it.
func (a *attempt) observe(tracing *telemetry.Tracing) {
	r := &a.rec.Result
	first := !r.CreatedAt.IsZero() && !r.StartedAt.Before(a.calls.began.Truncate(time.Millisecond)) // the record begins with this attempt
	a.spans = tracing.Begin(r, a.payloadTrace(), a.calls.began, first)
	a.cfg.Metrics.Begin(r, first)
}

// turn returns errTurn unless it is this task's turn in its conversation. The task then waits far ahead, without a slot, and
// is run when it becomes the head.
//
// Only the head of a lane is ever pending. A task that is not the head was run by hand ("run now" in asynqmon), or comes from
// a producer that knows no lanes. If Redis has lost a lane, its tasks build it again as they come, each at the place that its
// payload names.
func (a *attempt) turn(ctx context.Context) error {
	place := placeOf(&a.rec.Result)
	if place.Lane == "" {
		return nil
	}
	_, head, err := a.lanes.Rejoin(ctx, place, a.payload.LaneSeq)
	if err == nil && !head {
		err = errTurn
	}
	return err
}

func placeOf(r *results.Result) lane.Place {
	return lane.Place{Lane: r.Lane, Queue: r.Queue, ID: r.ID}
}
