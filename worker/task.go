package worker

import (
	"errors"
	"time"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// untouched reports whether no chat of this task and no question that was sent is known.
func (a *attempt) untouched() bool { return a.rec.Result.ChatID == "" && a.rec.AskedAt.IsZero() }

func (a *attempt) expired() bool {
	return !a.chat.ExpiresAt.IsZero() && time.Now().After(a.chat.ExpiresAt)
}

// payloadTrace is the traceparent of the task's payload.
func (a *attempt) payloadTrace() string {
	if a.chat == nil {
		return ""
	}
	return a.chat.TraceParent
}

// ofBatch reports whether the task is a row of a batch.
func (a *attempt) ofBatch() bool {
	_, ok := tally.Of(&a.rec.Result)
	return ok
}

// blocks reports whether the task has failed and holds its conversation up until an operator decides.
func (a *attempt) blocks() bool {
	return a.rec.Result.Status == results.Failed && a.chat != nil && a.chat.OnTurnFailure == tasks.TurnBlock
}

// ownConversation reports whether no other task and no person needs the task's conversation.
func (a *attempt) ownConversation() bool {
	return a.chat.ConversationID == "" && a.chat.ConversationKey == ""
}

// warn adds a warning to the record.
func (a *attempt) warn(text string) {
	a.log.Warn(text)
	a.rec.Result.Warnings = append(a.rec.Result.Warnings, text)
}

// damaged reports whether a key of the task's holds something else, which no retry repairs, and logs it once.
func (a *attempt) damaged(err error) bool {
	e, ok := errors.AsType[*results.KeyError](err)
	if ok && a.damagedKey != e.Key {
		a.damagedKey = e.Key
		a.log.Error("a key in Redis holds something else than it should", "key", e.Key, "err", err, "hint", hint(err))
	}
	return ok
}
