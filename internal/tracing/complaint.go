package tracing

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	complainEvery = time.Minute // there is an export every few seconds, and each one that fails complains
	maxComplaint  = 500         // bytes; a collector may answer with a page
	minHidden     = 4           // characters; hiding shorter values would hide half of each text
)

// complaints are the exporter's errors. Each failed export is one, every few seconds, so they are logged once a minute. A
// collector may repeat headers in its reply, so their values are hidden.
type complaints struct {
	logger  *slog.Logger
	secrets []string

	limit complaintLimit
}

func (c *complaints) Handle(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	unsaid, ok := c.limit.allow(time.Now())
	if !ok {
		return
	}
	attrs := []any{"err", c.clean(err)}
	if unsaid > 0 {
		attrs = append(attrs, "more_like_it", unsaid)
	}
	c.logger.Warn("traces may be incomplete", attrs...)
}

func (c *complaints) clean(err error) string {
	text := err.Error()
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	if len(text) > maxComplaint {
		text = strings.ToValidUTF8(text[:maxComplaint], "") + "..."
	}
	return text
}

// headerValues are the values of headers in the variables (NAME=VALUE, separated by commas), both as written and unescaped.
func headerValues(lists ...string) []string {
	var values []string
	for _, list := range lists {
		for pair := range strings.SplitSeq(list, ",") {
			_, value, ok := strings.Cut(pair, "=")
			if !ok {
				value = pair // a typo: it may be the secret alone
			}
			plain, err := url.PathUnescape(value)
			if err != nil {
				plain = value
			}
			for _, v := range []string{strings.TrimSpace(value), strings.TrimSpace(plain)} {
				_, word, found := strings.Cut(v, " ") // Bearer, Basic
				if found && len(word) >= minHidden {
					values = append(values, word)
				}
				if len(v) >= minHidden {
					values = append(values, v)
				}
			}
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) }) // the whole before its parts
	return slices.Compact(values)
}

// otelLog takes the errors of the SDK itself, for example about variables that it cannot read. It logs what happened, but no
// value: it may be a secret.
type otelLog struct{ complaints *complaints }

func (h otelLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

func (h otelLog) Handle(_ context.Context, r slog.Record) error {
	text := ""
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			text = h.complaints.clean(err)
		}
		return true
	})
	h.complaints.logger.Warn("a setting of OpenTelemetry is not used", "what", r.Message, "err", text)
	return nil
}

func (h otelLog) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h otelLog) WithGroup(string) slog.Handler { return h }

// complaintLimit lets one complaint through per interval and counts the others.
type complaintLimit struct {
	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// allow reports whether this one may be logged, and how many were held back since the last one.
func (l *complaintLimit) allow(now time.Time) (unsaid int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.next) {
		l.unsaid++
		return 0, false
	}
	unsaid, l.unsaid, l.next = l.unsaid, 0, now.Add(complainEvery)
	return unsaid, true
}
