package worker

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// logSampler says whether the log may tell of something now. It bounds the log, and the memory should others make up what it
// is about.
type logSampler[K comparable] struct {
	mu   sync.Mutex
	told map[K]time.Time
}

// due reports whether the log may tell of it: it has not within this time, or of too many things ever.
func (s *logSampler[K]) due(what K, every time.Duration, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, known := s.told[what]; known && time.Since(last) < every || !known && len(s.told) >= most {
		return false
	}
	if s.told == nil {
		s.told = make(map[K]time.Time)
	}
	s.told[what] = time.Now()
	return true
}

// How often the log names a code or a key, and how many of them.
const (
	unknownCodeEvery = math.MaxInt64 // once
	unknownCodeMost  = 1000
	missingKeyEvery  = time.Minute
	missingKeyMost   = 100
)

// countUnknown counts a code that is not in the table, and warns of each one once: what
// becomes of its tasks is guessed from its range.
func (c *calls) countUnknown(e *coze.Error) {
	if _, listed := c.codes.Lookup(e.Code); listed || e.Code == 0 {
		return
	}
	c.cfg.Metrics.UnknownCode()
	if c.unknownCodes.due(e.Code, unknownCodeEvery, unknownCodeMost) {
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
	if a.calls.missingKeys.due(sealed.KeyID, missingKeyEvery, missingKeyMost) {
		a.log.Warn("a question cannot be read by this worker, and waits for one that can", "key", sealed.KeyID, "err", err)
	}
	a.calls.poller.YieldToPeers()
	return err
}
