package worker

import (
	"errors"
	"log/slog"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// task is a task that is taken up, as all parts of its attempt see it.
type task struct {
	id      string
	began   time.Time
	payload *tasks.Chat     // what is asked, and how; nil: it could not be read
	rec     *record.Attempt // the record, and the right to write it
	hold    hold            // on the task

	cfg   *Config
	coze  *coze.Client // of the task's credential
	calls calls
	log   *slog.Logger
	spans *telemetry.Spans // nil: not traced

	events     chatEvents
	sealed     error  // why the payload cannot be decrypted here
	damagedKey string // the key that the log named last
}

// untouched reports whether no chat of this task and no question that was sent is known.
func (t *task) untouched() bool { return t.rec.Result.ChatID == "" && t.rec.AskedAt.IsZero() }

func (t *task) expired() bool {
	return !t.payload.ExpiresAt.IsZero() && time.Now().After(t.payload.ExpiresAt)
}

// payloadTrace is the traceparent of the task's payload.
func (t *task) payloadTrace() string {
	if t.payload == nil {
		return ""
	}
	return t.payload.TraceParent
}

// ofBatch reports whether the task is a row of a batch.
func (t *task) ofBatch() bool {
	_, ok := tally.Of(&t.rec.Result)
	return ok
}

// blocks reports whether the task has failed and holds its conversation up until an operator decides.
func (t *task) blocks() bool {
	return t.rec.Result.Status == results.Failed && t.payload != nil && t.payload.OnTurnFailure == tasks.TurnBlock
}

// ownConversation reports whether no other task and no person needs the task's conversation.
func (t *task) ownConversation() bool {
	return t.payload.ConversationID == "" && t.payload.ConversationKey == ""
}

// warn adds a warning to the record.
func (t *task) warn(text string) {
	t.log.Warn(text)
	t.rec.Result.Warnings = append(t.rec.Result.Warnings, text)
}

// damaged reports whether a key of the task's holds something else, which no retry repairs, and logs it once.
func (t *task) damaged(err error) bool {
	e, ok := errors.AsType[*results.KeyError](err)
	if ok && t.damagedKey != e.Key {
		t.damagedKey = e.Key
		t.log.Error("a key in Redis holds something else than it should", "key", e.Key, "err", err, "hint", hint(err))
	}
	return ok
}

// chatEnded notes a chat that ended without an answer, and where it was. A task that is not asked again names it in its
// record, for questions to Coze's support.
func (t *task) chatEnded(chatID string) {
	t.rec.EndedChat, t.rec.Result.ChatID = chatID, ""
	t.hold.chat.Store(nil)
	if t.ownConversation() {
		t.rec.EndedConversation = t.rec.Result.ConversationID
	}
}

// chatEvents is which events the streams of an attempt had.
type chatEvents struct {
	came    bool // of a chat, in the last stream
	strayed bool // of another chat, in any
}
