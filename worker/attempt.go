package worker

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// attempt is one run of a task: what its stages share. It reaches the rest of the worker through what stands here alone.
type attempt struct {
	id    string
	began time.Time
	chat  *tasks.Chat      // nil: the payload could not be read
	rec   *results.Attempt // the record, and the right to write it
	hold  hold             // on the task

	cfg           *Config
	results       *results.Store
	conversations *conversation.Names
	lanes         *lane.Lanes
	tally         *tally.Tally
	inspector     *asynq.Inspector
	coze          *coze.Client // of the task's credential
	calls         calls
	log           *slog.Logger
	spans         *telemetry.Spans // nil: not traced
	life          context.Context  // ends when even an answer is no longer waited to be stored

	noted          time.Time // before the last note that the question is about to be sent
	sealed         error     // why the payload cannot be decrypted here
	damagedKey     string    // the one that damaged has named last
	recreated      bool      // it has made its conversation anew once already
	heard, strayed bool      // the stream had events of a chat; of another one
}

func (w *Worker) newAttempt(ctx context.Context) *attempt {
	a := &attempt{
		began: time.Now(), cfg: &w.cfg, results: w.results, conversations: w.conversations,
		lanes: w.lanes, tally: w.tally, inspector: w.inspector, life: w.life,
	}
	a.id, _ = asynq.GetTaskID(ctx)
	a.log = slog.New(attemptLog{w.log.Handler(), a})
	a.calls = calls{Worker: w, log: a.log, began: a.began}
	return a
}

// process is the asynq handler. While a stream is open this frame is on a stack of
// which there are thousands: what is large and needed only at the beginning is in
// begin, so that the stack can shrink to 8 KiB (BenchmarkMemory).
func (w *Worker) process(ctx context.Context, t *asynq.Task) error {
	w.wg.Add(1)
	defer w.wg.Done()
	a := w.newAttempt(ctx)
	// Before the record says "running": who asks for the end of a running task must
	// find the attempt.
	run, release := w.running.begin(ctx, a)
	defer release()
	invalid, err := a.begin(ctx, t)
	if err != nil {
		return a.notBegun(ctx, err)
	}
	if a.rec.Ended {
		again, err := a.replay(ctx)
		if !again {
			return err
		}
		if invalid, err = a.begin(ctx, t); err != nil {
			return a.notBegun(ctx, err)
		}
	}
	if over, err := a.alreadyEnded(ctx); err != nil || over {
		return judge(err, history{}).toAsynq()
	}
	a.forgetEarlierAsks()
	a.observe(w.tracing)
	a.hold.rec.Store(a.rec)
	defer context.AfterFunc(ctx, func() { a.hold.watch(run) })()
	answer, err := a.guard(run, invalid)
	v, err := a.settle(context.WithoutCancel(ctx), answer, err)
	if own := a.hold.chat.Load(); own != nil && (v.Action == Done || v.Action == Drop) {
		w.answered.add(*own)
	}
	return err
}

// guard turns a panic into the failure of this task alone.
func (a *attempt) guard(ctx context.Context, invalid error) (answer *coze.Chat, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("panic in a handler", "panic", p, "stack", string(debug.Stack()))
			answer, err = nil, fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	if invalid != nil {
		return nil, invalid
	}
	answer, err = a.answer(ctx)
	if err != nil && ctx.Err() != nil && !keyMissing(err) {
		return a.interrupted(ctx, err)
	}
	return answer, err
}
