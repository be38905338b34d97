package terminal

import (
	"io"
	"log/slog"
)

// NewLogger writes text for people on a terminal and JSON lines for programs.
func NewLogger(w io.Writer, tty bool, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if !tty {
		o.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration {
				return slog.String(a.Key, a.Value.Duration().String()) // JSON has no unit: 1.5s, not 1500000000
			}
			return a
		}
		return slog.New(slog.NewJSONHandler(w, o))
	}
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.String(a.Key, a.Value.Time().Format("15:04:05.000"))
		}
		return a
	}
	return slog.New(slog.NewTextHandler(w, o))
}
