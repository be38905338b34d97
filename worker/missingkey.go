package worker

import (
	"errors"
	"sync"
	"time"

	"github.com/cozeq/cozeq/results"
)

// A task that is encrypted with a key that this worker does not have waits for a worker
// that has it: nothing is asked, no attempt is used up, and its record says why. It is
// looked at again soon, and then less and less often, in case that there is no such
// worker. If there is, that one should get it: this process lets others go first from
// then on. Without that it would be a matter of luck, and one of 32 tasks would have bad
// luck five times in a row, and wait for most of a minute.
//
// missingKeyEvery is how often the log says so, for each key.
const missingKeyEvery = time.Minute

// keyMissing tells that a task is encrypted and cannot be read here.
func keyMissing(err error) bool {
	_, ok := errors.AsType[*results.SealedError](err)
	return ok
}

// isPlain tells errors whose text is ours, and quotes nobody.
func isPlain(err error) bool {
	return keyMissing(err) || err == errCanceled || err == errExpired || err == errDeadline || err == errEmpty
}

// awaitKey decides what becomes of a task that could not be prepared. One that cannot be
// read ends here only if that costs nobody an answer: it was never asked, and is not
// wanted any more or too late.
func (a *attempt) awaitKey(err error) error {
	if !keyMissing(err) {
		return err
	}
	if a.rec.Result.ChatID == "" && a.rec.AskedAt.IsZero() {
		switch {
		case a.rec.CancelRequested:
			return errCanceled
		case !a.chat.ExpiresAt.IsZero() && time.Now().After(a.chat.ExpiresAt):
			return errExpired
		}
	}
	sealed, _ := errors.AsType[*results.SealedError](err)
	if a.calls.missingKeys.due(sealed.KeyID) {
		a.log.Warn("a question cannot be read by this worker, and waits for one that can", "key", sealed.KeyID, "err", err)
	}
	a.calls.gate.yieldToPeers()
	return err
}

// missingKeys remembers when the log spoke of a key last.
type missingKeys struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// missingKeyMost bounds the memory, should somebody make key ids up.
const missingKeyMost = 100

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
