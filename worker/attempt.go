package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
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
	conversations *tasks.Conversations
	lanes         *tasks.Lanes
	tally         *tasks.Tally
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
			if err := a.lanes.Leave(ctx, tasks.Place{Lane: r.Lane, Queue: queue, ID: a.id}); err != nil && !a.damaged(err) {
				return judge(err, history{}).toAsynq()
			}
		}
	}
	return v.toAsynq()
}

// observe begins to count and to trace an attempt that report will end.
func (a *attempt) observe(tracing *telemetry.Tracing) {
	a.spans = tracing.Begin(&a.rec.Result, a.payloadTrace(), a.began, a.first())
	a.cfg.Metrics.Begin(&a.rec.Result, a.first())
}

// payloadTrace is the traceparent of the task's payload.
func (a *attempt) payloadTrace() string {
	if a.chat == nil {
		return ""
	}
	return a.chat.TraceParent
}

// first reports whether nobody has taken the task up before: the record's beginning is
// this attempt's.
func (a *attempt) first() bool {
	r := &a.rec.Result
	return !r.CreatedAt.IsZero() && !r.StartedAt.Before(a.began.Truncate(time.Millisecond))
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

// answer is the chain: see the package comment.
func (a *attempt) answer(ctx context.Context) (*coze.Chat, error) {
	if err := a.prepare(); err != nil {
		return nil, a.awaitKey(err)
	}
	r := &a.rec.Result
	if a.rec.CancelRequested {
		a.hold.stop(errCanceled)
		return nil, errCanceled
	}
	if err := a.turn(ctx); err != nil {
		return nil, err
	}
	// Before the first call: whatever it is, its refusal concerns the credential.
	if err := a.calls.identify(ctx); err != nil {
		return nil, err
	}
	if r.ChatID != "" {
		if err := a.placeChat(ctx); err != nil {
			return nil, err
		}
	}
	if r.ChatID != "" {
		return a.lookUp(ctx)
	}
	if !a.rec.AskedAt.IsZero() {
		found, err := a.find(ctx)
		if err != nil {
			return nil, err
		}
		if found {
			return a.lookUp(ctx)
		}
	}
	if !a.chat.ExpiresAt.IsZero() && time.Now().After(a.chat.ExpiresAt) {
		return nil, errExpired
	}
	return a.ask(ctx)
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

// interrupted says what an attempt ends with whose context ended first.
func (a *attempt) interrupted(ctx context.Context, err error) (*coze.Chat, error) {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errCanceled), errors.Is(cause, errDeadline):
		return a.cancelChat(context.WithoutCancel(ctx), cause)
	case errors.Is(cause, errShutdown), errors.Is(cause, results.ErrFenced):
		return nil, cause
	}
	return nil, err
}

// upstreamWait bounds what is done at Coze after an attempt's own time is over.
const upstreamWait = 10 * time.Second

// cancelChat cancels the attempt's chat at Coze. A chat that completed in the
// meantime is paid for: its answer is taken after all. Otherwise the error is why,
// and the chat is forgotten; after a deadline with its conversation, in which Coze may
// still be at work, and only if the chat is known to have ended: it is to be asked
// again.
func (a *attempt) cancelChat(ctx context.Context, why error) (*coze.Chat, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	r := &a.rec.Result
	if r.ChatID == "" && !a.rec.AskedAt.IsZero() {
		if _, err := a.find(ctx); err != nil {
			a.log.Warn("could not find out whether the question was taken", "err", err)
		}
	}
	if r.ChatID == "" {
		return nil, why
	}
	call := a.spans.Call("coze chat/cancel", a.coze)
	_, cancelErr := a.coze.CancelChat(ctx, r.ConversationID, r.ChatID)
	call.End(cancelErr)
	if cancelErr != nil {
		a.log.Warn("could not cancel the chat", "chat", r.ChatID, "err", cancelErr)
	}
	// The reply to cancel can say anything; what holds is what retrieve says.
	chat, err := a.coze.RetrieveChat(ctx, r.ConversationID, r.ChatID)
	ended := false
	if err == nil {
		a.keepUsage(chat)
		ended = cancelErr == nil || chat.Status.Terminal()
	}
	if ended && chat.Status == coze.StatusCompleted {
		err := a.readMessages(ctx, chat)
		if err == nil {
			return chat, nil
		}
		ended = errors.Is(err, errEmpty)
	}
	if errors.Is(why, errDeadline) {
		if !ended {
			return nil, why // it may have its answer yet: the next attempt looks it up
		}
	}
	if r.ChatID != "" {
		a.over(r.ChatID)
	}
	if errors.Is(why, errDeadline) {
		a.forgetConversation(ctx)
	}
	a.rec.AskedAt = time.Time{}
	return nil, why
}

// keepUsage notes what Coze counted, where it tells.
func (a *attempt) keepUsage(chat *coze.Chat) {
	if u := chat.Usage; u != nil && u.TokenCount > 0 {
		a.rec.Result.Usage = &results.Usage{
			TokenCount: u.TokenCount, OutputCount: u.OutputCount, InputCount: u.InputCount,
		}
	}
}
