package pause

import (
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// A row of failures with one credential says more than each failure by itself. Connections that fail one after the other mean
// that the network is away. That pauses like a refused token, so that tasks do not circle in Redis and one probe finds Coze
// again. Questions that all fail alike, before any was ever answered, are a fault that no class names, but not of the
// questions.
const (
	// missedMost is how many asks in a row may get no connection before that pauses. One or two may be chance; a pause costs all
	// questions a second.
	missedMost = 3

	// AlikeMost is how many of a bot's first questions may fail alike before that pauses the bot.
	AlikeMost = 10

	// OthersReach is how long a process takes no tasks if it gets no connection although others do.
	OthersReach = 30 * time.Second
)

// Streaks are the rows of failures of one process, by credential and by bot with it.
type Streaks struct {
	mu   sync.Mutex
	ways map[string]*way
	bots map[[2]string]*sameFault
}

// way is this process's recent connections to Coze with a credential.
type way struct {
	missed int       // attempts in a row that did not get to Coze
	paused bool      // this process has paused for the way there since Coze was last heard
	heard  time.Time // last
}

// sameFault counts a bot's equal failures until it has answered once.
type sameFault struct {
	answered     bool
	code, status int
	n            int
}

func (s *Streaks) way(credential string) *way {
	if s.ways == nil {
		s.ways = make(map[string]*way)
	}
	w := s.ways[credential]
	if w == nil {
		w = new(way)
		s.ways[credential] = w
	}
	return w
}

// Heard notes an answer of Coze. It reports whether this process had paused for the way there.
func (s *Streaks) Heard(credential string) (paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.way(credential)
	paused = w.paused
	*w = way{heard: time.Now()}
	return paused
}

// Missed notes an attempt that did not reach Coze, and reports whether there are too many. Attempts that began before Coze was
// last heard may still wait for a dial to time out. They do not count.
func (s *Streaks) Missed(credential string, began time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.way(credential)
	if began.Before(w.heard) {
		return false
	}
	w.missed++
	return w.missed >= missedMost
}

// Began notes that this process has begun a pause for the way there.
func (s *Streaks) Began(credential string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.way(credential).paused = true
}

// HasBegun reports whether this process has begun such a pause and not heard Coze since.
func (s *Streaks) HasBegun(credential string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.way(credential).paused
}

// Away reports whether this process does not reach Coze with some credential.
func (s *Streaks) Away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.ways {
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
