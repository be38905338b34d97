package pause

import (
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// Failures in a row say more than each of them. If several connections fail one after the other, the network is down. That
// begins a pause as a refused token does, so that tasks do not circle in Redis and a single probe finds out when Coze is
// back. If the first questions to a bot all fail in the same way, the fault is not in the questions.
const (
	// missedMost is how many asks in a row without a connection begin a pause. One or two may be chance, and a pause delays
	// all questions by a second.
	missedMost = 3

	// AlikeMost is how many of a bot's first questions must fail in the same way to pause the bot.
	AlikeMost = 10

	// OthersReach is how long a process takes no tasks if it cannot reach Coze and other processes can.
	OthersReach = 30 * time.Second
)

// Streaks counts failures in a row in one process, by credential and by bot with it.
type Streaks struct {
	mu    sync.Mutex
	paths map[string]*path // by credential
	bots  map[[2]string]*sameFault
}

// path is how this process has reached Coze lately with a credential.
type path struct {
	missed int       // attempts in a row that did not reach Coze
	paused bool      // this process has begun a pause for that, and not heard Coze since
	heard  time.Time // when Coze answered last
}

// sameFault counts failures of a bot with one code and status, until it has answered once.
type sameFault struct {
	answered     bool
	code, status int
	n            int
}

func (s *Streaks) path(credential string) *path {
	if s.paths == nil {
		s.paths = make(map[string]*path)
	}
	w := s.paths[credential]
	if w == nil {
		w = new(path)
		s.paths[credential] = w
	}
	return w
}

// Heard notes an answer of Coze. It reports whether this process had begun a pause because Coze was unreachable.
func (s *Streaks) Heard(credential string) (paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.path(credential)
	paused = w.paused
	*w = path{heard: time.Now()}
	return paused
}

// Missed notes an attempt that did not reach Coze, and reports whether there are too many. Attempts that began before Coze was
// last heard may still wait for a dial to time out. They do not count.
func (s *Streaks) Missed(credential string, began time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.path(credential)
	if began.Before(w.heard) {
		return false
	}
	w.missed++
	return w.missed >= missedMost
}

// Began notes that this process has begun a pause because Coze was unreachable.
func (s *Streaks) Began(credential string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path(credential).paused = true
}

// HasBegun reports whether this process has begun such a pause and not heard Coze since.
func (s *Streaks) HasBegun(credential string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path(credential).paused
}

// CutOff reports whether this process does not reach Coze with one of its credentials.
func (s *Streaks) CutOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.paths {
		if w.missed > 0 {
			return true
		}
	}
	return false
}

// Fault counts a failure that, by its class, concerns one question. It reports whether there are now too many equal ones.
func (s *Streaks) Fault(credential, bot string, e *coze.Error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.bots[[2]string{credential, bot}]
	if f == nil {
		f = s.forBot(credential, bot)
	}
	if f.answered {
		return false
	}
	if f.code != e.Code || f.status != e.Status {
		*f = sameFault{code: e.Code, status: e.Status}
	}
	f.n++
	return f.n >= AlikeMost
}

// Answered notes that a bot has answered, and reports whether it is the first answer.
func (s *Streaks) Answered(credential, bot string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.bots[[2]string{credential, bot}]
	if f == nil {
		f = s.forBot(credential, bot)
	}
	news := !f.answered
	f.answered = true
	return news
}

// streakBots bounds the memory for bots: a worker may serve any number.
const streakBots = 10_000

func (s *Streaks) forBot(credential, bot string) *sameFault {
	if s.bots == nil || len(s.bots) >= streakBots {
		s.bots = make(map[[2]string]*sameFault)
	}
	f := new(sameFault)
	s.bots[[2]string{credential, bot}] = f
	return f
}
