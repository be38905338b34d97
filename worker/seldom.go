package worker

import (
	"errors"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
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

// A task that is encrypted with a key that this worker does not have waits for a worker that has it. Nothing is asked, no
// attempt is used up, and its record says why. It comes back soon, then less and less often. From then on this process lets
// others take tasks first: otherwise it would be a matter of luck which worker gets the task, and one of 32 tasks would have
// bad luck five times in a row and wait for most of a minute.

// keyMissing reports whether a task is encrypted with a key that this worker lacks.
func keyMissing(err error) bool {
	_, ok := errors.AsType[*results.SealedError](err)
	return ok
}

// isPlain reports whether an error's text is ours and quotes no question.
func isPlain(err error) bool {
	return keyMissing(err) || err == errCanceled || err == errExpired || err == errDeadline || err == errEmpty
}

// awaitKey decides what becomes of a task that could not be prepared. One without its key ends here only if that costs no
// answer: it was never asked, and is canceled or too late.
func (a *attempt) awaitKey(err error) error {
	sealed, ok := errors.AsType[*results.SealedError](err)
	if !ok {
		return err
	}
	if a.untouched() {
		switch {
		case a.rec.CancelRequested:
			return errCanceled
		case a.expired():
			return errExpired
		}
	}
	if a.calls.missingKeys.due(sealed.KeyID) {
		a.log.Warn("a question cannot be read by this worker, and waits for one that can", "key", sealed.KeyID, "err", err)
	}
	a.calls.gate.YieldToPeers()
	return err
}

// missingKeys are the keys that the log has named lately.
type missingKeys struct {
	mu   sync.Mutex
	told map[string]time.Time
}

const (
	missingKeyEvery = time.Minute // how often the log names one
	missingKeyMost  = 100         // bounds the memory, should key ids be made up
)

// due reports whether the log may name the key now.
func (u *missingKeys) due(key string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if last, known := u.told[key]; known && time.Since(last) < missingKeyEvery || !known && len(u.told) >= missingKeyMost {
		return false
	}
	if u.told == nil {
		u.told = make(map[string]time.Time)
	}
	u.told[key] = time.Now()
	return true
}
