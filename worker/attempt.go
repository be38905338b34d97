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
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// attempt is one run of a task. Its stages share what stands here, and reach nothing else of the worker:
//
//	take up     takeup.go      own the record, read the payload
//	look first  attempt.go     its turn? a chat already? then poll.go or recover.go, and nothing is asked
//	ask         ask.go         conversation, asked note and permit (askednote.go), POST /v3/chat
//	read        ask.go         the stream, from the chat's id to the last event
//	tools       toolround.go   what the bot calls, run and submitted; then read again
//	judge       verdict.go     what all this means for the task
//	settle      settle.go      write it; outcome.go puts it in asynq's words, report.go in those of logs and metrics
type attempt struct {
	id    string
	began time.Time
	chat  *tasks.Chat     // nil: the payload could not be read
	rec   *record.Attempt // the record, and the right to write it
	hold  hold            // on the task

	cfg           *Config
	results       *results.Store
	records       *record.Store
	publisher     *publisher
	conversations *conversation.Names
	spares        *spares
	lanes         *lane.Lanes
	tally         *tally.Tally
	inspector     *asynq.Inspector
	coze          *coze.Client // of the task's credential
	calls         calls
	log           *slog.Logger
	spans         *telemetry.Spans // nil: not traced
	life          context.Context  // ends when writes are given up

	deltas     *deltaWriter // of the stream that was read to its end; nil: there was none, or the task wants no pieces
	events     chatEvents
	submits    submits
	noted      time.Time // just before the last asked note was written
	sealed     error     // why the payload cannot be decrypted here
	damagedKey string    // the key that the log named last
	recreated  bool      // it has replaced a conversation that was gone
}

func (w *Worker) newAttempt(ctx context.Context) *attempt {
	a := &attempt{
		began: time.Now(), cfg: &w.cfg, results: w.results, records: w.records, publisher: &w.publisher, conversations: w.conversations, spares: &w.spares,
		lanes: w.lanes, tally: w.tally, inspector: w.inspector, life: w.life,
	}
	a.id, _ = asynq.GetTaskID(ctx)
	a.log = slog.New(attemptLog{w.log.Handler(), a})
	a.calls = calls{throttle: &w.throttle, log: a.log, began: a.began}
	return a
}

// process is the asynq handler. While a stream is open this frame is on a stack of which there are thousands. What is large
// and needed only at the beginning is in takeUp, so that the stack can shrink to 8 KiB (BenchmarkMemory).
func (w *Worker) process(ctx context.Context, t *asynq.Task) error {
	w.wg.Add(1)
	defer w.wg.Done()
	a := w.newAttempt(ctx)
	run, release := w.running.begin(ctx, a) // before the record says "running": a cancellation must find the attempt
	defer release()
	invalid, over, err := a.takeUp(ctx, t)
	if over {
		return err
	}
	a.observe(w.tracing)
	a.hold.rec.Store(a.rec)
	defer context.AfterFunc(ctx, func() { a.hold.watch(run) })()
	chat, err := a.guard(run, invalid)
	v, err := a.settle(context.WithoutCancel(ctx), chat, err)
	if own := a.hold.chat.Load(); own != nil && (v.Action == Done || v.Action == Drop) {
		w.answered.add(*own)
	}
	return err
}

// guard turns a panic into the failure of this task alone.
func (a *attempt) guard(ctx context.Context, invalid error) (chat *coze.Chat, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("panic in a handler", "panic", p, "stack", string(debug.Stack()))
			chat, err = nil, fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	if invalid != nil {
		return nil, invalid
	}
	chat, err = a.answer(ctx)
	if err != nil && ctx.Err() != nil && !keyMissing(err) {
		return a.interrupted(ctx, err)
	}
	return chat, err
}

// answer gets the task's answer: from a chat that exists, else from a new one.
func (a *attempt) answer(ctx context.Context) (*coze.Chat, error) {
	if err := a.prepare(); err != nil {
		return nil, a.awaitKey(err)
	}
	if a.rec.CancelRequested {
		a.hold.stop(errCanceled)
		return nil, errCanceled
	}
	if err := a.turn(ctx); err != nil {
		return nil, err
	}
	// Before the first call, as a refusal of any call concerns the credential.
	if err := a.calls.identify(ctx); err != nil {
		return nil, err
	}
	switch exists, err := a.chatExists(ctx); {
	case err != nil:
		return nil, err
	case exists:
		return a.lookUp(ctx)
	case a.expired():
		return nil, errExpired
	}
	return a.ask(ctx)
}

// chatExists reports whether the record names a chat of this question, now or after a search at Coze. It is looked up then,
// and nothing is asked.
func (a *attempt) chatExists(ctx context.Context) (bool, error) {
	if a.rec.Result.ChatID != "" {
		if err := a.placeChat(ctx); err != nil {
			return false, err
		}
	}
	if a.rec.Result.ChatID != "" {
		return true, nil
	}
	if a.rec.AskedAt.IsZero() {
		return false, nil
	}
	return a.find(ctx)
}
