package worker

import (
	"context"
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

// attemptLog adds to each line its task, its chat if there is one, and the trace. It looks them up when a line is written, as
// most attempts write none.
type attemptLog struct {
	slog.Handler
	task *task
}

// Handle implements slog.Handler.
func (h attemptLog) Handle(ctx context.Context, r slog.Record) error {
	full := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	full.AddAttrs(slog.String("task", h.task.id))
	chat := ""
	if rec := h.task.rec; rec != nil {
		chat = rec.Result.ChatID
		if id := h.task.spans.TraceID(&rec.Result, h.task.payloadTrace()); id != "" {
			full.AddAttrs(slog.String("trace_id", id))
		}
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "chat" {
			chat = "" // the line names one itself
		}
		full.AddAttrs(a)
		return true
	})
	if chat != "" {
		full.AddAttrs(slog.String("chat", chat))
	}
	return h.Handler.Handle(ctx, full)
}

// WithAttrs implements slog.Handler.
func (h attemptLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return attemptLog{h.Handler.WithAttrs(attrs), h.task}
}

// WithGroup implements slog.Handler.
func (h attemptLog) WithGroup(name string) slog.Handler {
	return attemptLog{h.Handler.WithGroup(name), h.task}
}
