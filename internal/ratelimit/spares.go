package ratelimit

import (
	"sync"
	"time"
)

const (
	// spareFor is how long a spare permit is good. A pause that begins, or a rate that is cut, reaches a process with spares so
	// much later.
	spareFor = 20 * time.Millisecond
	// mostSpares is what one request may take along: enough for 2,500 chats a second.
	mostSpares = 50
	// mostBots is how many bots are remembered, some 150 bytes each.
	mostBots = 1000
)

// spares are permits for chats that were taken along with another one. The script gives them only out of what the limit has
// saved up, so nobody waits for them. To ask is a fifth of what Redis does for a short chat (BenchmarkTask).
//
// A process takes as many as it needed in the last spareFor, less the one that it asks for. So a process that asks rarely
// takes none, and what it does not use is lost: spareFor of its own demand.
type spares struct {
	mu sync.Mutex
	of map[string]*spare // by the bot's limit
}

type spare struct {
	permit Permit
	left   int
	until  time.Time // left is good
	refill time.Time // when some were last asked for
	demand int       // since then
}

// next returns a spare permit. Without one, more is how many to take along.
func (s *spares) next(key string, now time.Time) (p Permit, more int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.of[key]
	if one == nil {
		if s.of == nil || len(s.of) >= mostBots {
			s.of = make(map[string]*spare)
		}
		one = &spare{refill: now}
		s.of[key] = one
	}
	one.demand++
	if one.left > 0 && now.Before(one.until) {
		one.left--
		return one.permit, 0, true
	}
	passed := now.Sub(one.refill)
	if passed < spareFor {
		return Permit{}, 0, false
	}
	more = int(time.Duration(one.demand)*spareFor/passed) - 1
	one.refill, one.demand = now, 0
	return Permit{}, min(max(more, 0), mostSpares), false
}

// put keeps n permits like p that were asked for at a time.
func (s *spares) put(key string, p Permit, n int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.of[key]; one != nil && one.refill.Equal(at) {
		one.permit, one.left, one.until = p, n, at.Add(spareFor)
	}
}

// drop forgets all permits.
func (s *spares) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.of)
}
