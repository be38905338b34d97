package terminal

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestDurationsInLog(t *testing.T) {
	for tty, want := range map[bool]string{true: `in=1.5s for=2m0s`, false: `"in":"1.5s","g":{"for":"2m0s"}`} {
		var b bytes.Buffer
		logger := NewLogger(&b, tty, slog.LevelInfo)
		if tty {
			logger.Info("waiting", "in", 1500*time.Millisecond, "for", 2*time.Minute)
		} else {
			logger.Info("waiting", "in", 1500*time.Millisecond, slog.Group("g", "for", 2*time.Minute))
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("terminal %v: %s, want %s in it", tty, b.String(), want)
		}
	}
}
