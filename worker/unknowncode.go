package worker

import (
	"sync"

	"github.com/cozeq/cozeq/coze"
)

// unknownCodes remembers which codes that are not in the table this process has
// warned of.
type unknownCodes struct {
	mu   sync.Mutex
	seen map[int]bool
}

// unknownMost bounds the memory and the log should Coze, or what stands in its
// place, make codes up.
const unknownMost = 1000

// first reports whether the code is new, and worth a warning.
func (u *unknownCodes) first(code int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen[code] || len(u.seen) >= unknownMost {
		return false
	}
	if u.seen == nil {
		u.seen = make(map[int]bool)
	}
	u.seen[code] = true
	return true
}

// countUnknown counts a code that is not in the table, and warns of each one once: what
// becomes of its tasks is guessed from its range.
func (c *calls) countUnknown(e *coze.Error) {
	if _, listed := c.codes.Lookup(e.Code); listed || e.Code == 0 {
		return
	}
	c.cfg.Metrics.UnknownCode()
	if c.unknown.first(e.Code) {
		c.log.Warn("a code of Coze that is not in the table, judged by its range; --codes can add it",
			"code", e.Code, "class", string(e.Class), "message", e.Message, "logid", e.LogID)
	}
}
