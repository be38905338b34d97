package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/terminal"
)

// finding is one thing that doctor has looked at. Its name is one of those that
// docs/operations.md lists, with a subject in brackets where there may be several:
// redis.version, queue[default].
type finding struct {
	Name   string            `json:"name"`
	Status redischeck.Status `json:"status"`
	Detail string            `json:"detail"`
	Fix    string            `json:"fix,omitempty"`
}

// checkName is a name with its subject; an empty one is that of the default.
func checkName(name, subject string) string {
	if subject == "" {
		return name
	}
	return name + "[" + terminal.OneLine(subject) + "]"
}

func well(name, format string, args ...any) finding {
	return finding{name, redischeck.OK, fmt.Sprintf(format, args...), ""}
}

// skipped is a check that was not made, and why.
func skipped(name, format string, args ...any) finding {
	return finding{name, redischeck.Skip, fmt.Sprintf(format, args...), ""}
}

func warned(name, fix, format string, args ...any) finding {
	return finding{name, redischeck.Warn, fmt.Sprintf(format, args...), fix}
}

func failed(name, fix, format string, args ...any) finding {
	return finding{name, redischeck.Fail, fmt.Sprintf(format, args...), fix}
}

type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

// add counts findings and notes whether one of them is a failure.
func (d *diagnosis) add(strict bool, all ...finding) {
	for _, f := range all {
		if f.Status == redischeck.Fail || strict && f.Status == redischeck.Warn {
			d.OK = false
		}
	}
	d.Checks = append(d.Checks, all...)
}

func (d *diagnosis) count(s redischeck.Status) (n int) {
	for _, f := range d.Checks {
		if f.Status == s {
			n++
		}
	}
	return n
}

// summary is the line at the end: 31 checks, 1 failed, 2 warnings.
func (d *diagnosis) summary() string {
	parts := []string{terminal.Plural(len(d.Checks), "check")}
	if n := d.count(redischeck.Fail); n > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", n))
	}
	if n := d.count(redischeck.Warn); n > 0 {
		parts = append(parts, terminal.Plural(n, "warning"))
	}
	if n := d.count(redischeck.Skip); n > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped", n))
	}
	if len(parts) == 1 {
		parts = append(parts, "all well")
	}
	return strings.Join(parts, ", ")
}

// millisText is a short time in ms, so that times can be compared: 0.04 ms, 4.2 ms, 430 ms.
func millisText(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
