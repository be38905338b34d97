package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
)

// What a process meets in a row with one credential says more than each failure by itself. Connections that fail one
// after the other are a network that is away: that pauses as a refused token does, so that nothing turns around in Redis
// and one probe finds Coze back. Questions that all fail alike, before any was ever answered, are a fault that no class
// has a name for, but not of the questions.
const (
	// missedMost is how many asks in a row may get no connection before that pauses. One or two are a blip; a pause
	// costs all questions a second.
	missedMost = 3

	// alikeMost is how many of a bot's first questions may fail alike before that pauses the bot.
	alikeMost = 10

	// othersReach is how long a process takes nothing out of the queues that gets no connection where others do.
	othersReach = 30 * time.Second

	// answeredFor is how long Redis remembers that a bot has answered.
	answeredFor = 30 * 24 * time.Hour
)

// streaks are a process's, by credential and by bot of it.
type streaks struct {
	mu   sync.Mutex
	ways map[string]*way
	bots map[[2]string]*sameFault
}

// way is how this process has got to Coze with a credential of late.
type way struct {
	missed int       // attempts in a row that did not get to Coze
	paused bool      // this process has paused for the way there since Coze was last heard
	heard  time.Time // last
}

// sameFault counts a bot's failures as long as they are the same, until it has answered.
type sameFault struct {
	answered     bool
	code, status int
	n            int
}

func (s *streaks) way(credential string) *way {
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

// heard notes a word of Coze. It reports whether this process had paused for the way there.
func (s *streaks) heard(credential string) (paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.way(credential)
	paused = w.paused
	*w = way{heard: time.Now()}
	return paused
}

// missed notes an attempt that did not get to Coze, and reports whether it is one too many. Of attempts that began before
// Coze was last heard, some may still wait for a dial to time out: they say nothing of now.
func (s *streaks) missed(credential string, began time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.way(credential)
	if began.Before(w.heard) {
		return false
	}
	w.missed++
	return w.missed >= missedMost
}

// paused notes that this process has begun a pause for the way there.
func (s *streaks) paused(credential string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.way(credential).paused = true
}

// hasPaused reports whether this process has begun such a pause and not heard Coze since.
func (s *streaks) hasPaused(credential string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.way(credential).paused
}

// away reports whether this process does not get to Coze with some credential.
func (s *streaks) away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.ways {
		if w.missed > 0 {
			return true
		}
	}
	return false
}

// fault counts a failure that concerns one question, as far as its class says. It reports whether it is the last of too
// many that are alike.
func (s *streaks) fault(credential, bot string, e *coze.Error) bool {
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
	return f.n >= alikeMost
}

// answer notes that a bot has answered, and reports whether that is news.
func (s *streaks) answer(credential, bot string) bool {
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

func (s *streaks) forBot(credential, bot string) *sameFault {
	if s.bots == nil || len(s.bots) >= streakBots {
		s.bots = make(map[[2]string]*sameFault)
	}
	f := new(sameFault)
	s.bots[[2]string{credential, bot}] = f
	return f
}

func answeredKey(credential string) string { return "cozeq:answered:{" + credential + "}" }

// answeredOnce has Redis remember that a bot has answered, once in a process.
func (a *calls) answeredOnce(ctx context.Context) {
	if !a.streaks.answer(a.credential, a.chat.BotID) {
		return
	}
	_, err := a.cfg.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SAdd(ctx, answeredKey(a.credential), a.chat.BotID)
		p.Expire(ctx, answeredKey(a.credential), answeredFor)
		return nil
	})
	if err != nil {
		a.log.Debug("could not note that the bot has answered", "err", err)
	}
}

// failedAlike makes a pause of the bot out of a failure that all of its first questions ended with, whatever the class;
// nil where it is none. A fault that passes counts once a question has used its attempts up: a gateway that answers 502
// would fail a whole file.
func (a *calls) failedAlike(ctx context.Context, v Verdict) *coze.Error {
	e, ok := errors.AsType[*coze.Error](v.Err)
	if !ok || v.Action != Fail || a.credential == "" || a.chat == nil || pauseScope(e) != "" ||
		e.Class != coze.ClassPermanent && e.Class != coze.ClassTransient || !a.streaks.fault(a.credential, a.chat.BotID, e) {
		return nil
	}
	if a.cfg.Answered != nil && a.cfg.Answered() {
		return nil
	}
	if known, err := a.cfg.Redis.SIsMember(ctx, answeredKey(a.credential), a.chat.BotID).Result(); err != nil || known {
		return nil
	}
	own := *e
	own.Scope = coze.ScopeBot
	own.Message = fmt.Sprintf("the first %d questions all failed so, and none was ever answered: %s", alikeMost, e.Message)
	return own.WithHint(e.Hint() + " Where all questions meet it, look at the settings and the bot first.")
}
