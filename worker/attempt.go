package worker

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
)

// attempt is one run of a task, a machine of few states. Its transitions are here, in ask.go, unanswered.go, lookup.go and
// toolround.go; each collaborator does one thing with the task and knows no states.
//
//	take up     takeup.go      own the record, read the payload; replay.go where the record has ended
//	look first                 its turn? a chat already? then lookup.go or find.go, and nothing is asked
//	ask         ask.go         conversation, asked note and permit, POST /v3/chat, and its stream to the last event
//	look up     lookup.go      the end of a chat that exists
//	use tools   toolround.go   what the bot calls, run and submitted; then read again
//	settle      settle.go      judge what all this means for the task (verdict.go), and write it
type attempt struct {
	task
	*stores

	conversations conversations
	notes         notes
	pieces        pieces
	sender        sender
	lookup        lookup
	tools         toolRounds
	workflow      workflow
	settlement    settlement

	chat      *coze.Chat // as far as it was read: what a state leaves for the next one
	recreated bool       // it has replaced a conversation that was gone
}

func (w *Worker) newAttempt(ctx context.Context) *attempt {
	a := &attempt{stores: &w.stores}
	t := &a.task
	t.cfg = &w.cfg
	t.id, _ = asynq.GetTaskID(ctx)
	t.log = slog.New(attemptLog{w.log.Handler(), t})
	t.calls = calls{throttle: &w.throttle, log: t.log, began: time.Now()}
	a.conversations = conversations{task: t, names: w.names, spares: &w.spares}
	a.notes = notes{task: t, names: w.names}
	a.pieces = pieces{task: t, publisher: &w.publisher}
	a.sender = sender{task: t, notes: &a.notes, pieces: &a.pieces}
	a.lookup = lookup{task: t, notes: &a.notes, conversations: &a.conversations, lanes: w.lanes}
	a.tools = toolRounds{task: t, notes: &a.notes, sender: &a.sender}
	a.workflow = workflow{task: t, notes: &a.notes, pieces: &a.pieces, lookup: &a.lookup}
	a.settlement = settlement{task: t, stores: &w.stores, pieces: &a.pieces, life: w.life}
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
		if err == nil {
			w.noteEnded(ctx, a, t)
		}
		return err
	}
	a.observe(w.tracing)
	a.hold.rec.Store(a.rec)
	defer context.AfterFunc(ctx, func() { a.hold.watch(run) })()
	chat, err := a.guard(run, invalid)
	v, err := a.settlement.settle(context.WithoutCancel(ctx), chat, err)
	if v.Action != Retry && v.Action != Later {
		w.noteEnded(ctx, a, t)
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

// state is what an attempt does next on its way to the answer.
type state uint8

const (
	asking     state = iota
	lookingUp        // a chat exists, and the record names it: nothing is asked
	usingTools       // the chat waits for the outputs of tools
	answered
)

// answer gets the task's answer: from a chat that exists, else from a new one.
func (a *attempt) answer(ctx context.Context) (*coze.Chat, error) {
	next, err := a.lookFirst(ctx)
	for err == nil && next != answered {
		switch next {
		case asking:
			next, err = a.ask(ctx)
		case lookingUp:
			next, err = a.lookUp(ctx)
		case usingTools:
			next, err = a.useTools(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return a.chat, nil
}

// lookFirst finds out whether the task is to be asked. It is not if the record names a chat of this question, now or after a
// search at Coze.
func (a *attempt) lookFirst(ctx context.Context) (state, error) {
	if err := a.prepare(); err != nil {
		return asking, a.awaitKey(err)
	}
	if a.rec.CancelRequested {
		return asking, a.canceled()
	}
	if err := a.turn(ctx); err != nil {
		return asking, err
	}
	// Before the first call, as a refusal of any call concerns the credential.
	if err := a.calls.identify(ctx); err != nil {
		return asking, err
	}
	if a.rec.Result.ChatID != "" {
		if err := a.conversations.place(ctx); err != nil {
			return asking, err
		}
	}
	found := a.rec.Result.ChatID != ""
	if !found && !a.rec.AskedAt.IsZero() {
		var err error
		if found, err = a.lookup.find(ctx); err != nil {
			return asking, err
		}
	}
	switch {
	case found:
		return lookingUp, nil
	case a.expired():
		return asking, errExpired
	}
	return asking, nil
}

// canceled ends the attempt of a task that is to be canceled.
func (a *attempt) canceled() error {
	a.hold.stop(errCanceled)
	return errCanceled
}
