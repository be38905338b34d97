package worker

import (
	"context"
	"log/slog"
)

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
