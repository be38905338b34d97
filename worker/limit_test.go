package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/redistest"
)

// server is Coze's side of a rate limit: a bucket that holds a second's worth.
type server struct {
	mu     sync.Mutex
	rate   float64
	level  float64
	filled time.Time
	taken  int
	denied int
}

func (s *server) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.level = min(s.rate, s.level+now.Sub(s.filled).Seconds()*s.rate)
	s.filled = now
	if s.level < 1 {
		s.denied++
		return false
	}
	s.level--
	s.taken++
	return true
}

func (s *server) set(rate float64) {
	s.mu.Lock()
	s.rate = rate
	s.mu.Unlock()
}

// count returns what was taken and denied since the last count.
func (s *server) count() (taken, denied int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken, denied = s.taken, s.denied
	s.taken, s.denied = 0, 0
	return taken, denied
}

// TestLimiterSettles lets callers of several processes meet a limit that nobody
// tells them, that is halved and then doubled. Time is the bubble's; one bubble at a
// time, as go-redis keeps timers for reuse.
func TestLimiterSettles(t *testing.T) {
	for _, c := range []struct {
		rate      float64
		processes int
	}{{20, 1}, {20, 3}, {200, 3}} {
		t.Run(fmt.Sprintf("%v a second, %d processes", c.rate, c.processes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { settles(t, c.rate, c.processes) })
		})
	}
}

func settles(t *testing.T, rate float64, processes int) {
	rdb := redistest.Embedded(t)
	coze4013 := &coze.Error{Code: 4013, Class: coze.ClassRate, Scope: coze.ScopeAccount}
	s := &server{rate: rate, level: rate, filled: time.Now()}
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range processes {
		l := &limiter{rdb: rdb}
		for range 64 {
			callers.Go(func() {
				for ctx.Err() == nil {
					p, err := l.take(ctx, forChat, "credential", "bot")
					if err != nil {
						if far, ok := errors.AsType[*farError](err); ok && ctx.Err() == nil {
							pause(ctx, far.after)
							continue
						}
						return
					}
					if s.take() {
						pause(ctx, 250*time.Millisecond) // the answer
						continue
					}
					if err := l.refused(ctx, p, "credential", "bot", coze4013); err != nil {
						return
					}
					pause(ctx, time.Second)
				}
			})
		}
	}
	within := func(what string, d time.Duration, limit, least, mostDenied float64) {
		t.Helper()
		time.Sleep(d)
		taken, denied := s.count()
		used, refused := float64(taken)/d.Seconds()/limit, float64(denied)/float64(taken+denied)
		t.Logf("%-28s used %5.1f %%, refused %4.2f %%", what, 100*used, 100*refused)
		if used < least || refused > mostDenied {
			t.Errorf("%s: used %.1f %%, want %.0f; refused %.2f %%, want at most %.0f", what, 100*used, 100*least, 100*refused, 100*mostDenied)
		}
	}
	within("start", 10*time.Second, rate, 0, 1)
	within("settled", time.Minute, rate, 0.95, 0.02)
	s.set(rate / 2)
	within("halved", 10*time.Second, rate/2, 0.8, 1)
	within("halved, settled", 30*time.Second, rate/2, 0.95, 0.02)
	s.set(rate)
	within("doubled", 30*time.Second, rate, 0, 0.05)
	within("doubled, after 30 s", 20*time.Second, rate, 0.9, 0.02)
	stop()
	callers.Wait()
}

// TestLimiterAgainstNoise has one call in ten, or in a hundred, refused however slowly
// they come: that is no limit, and must not end in a standstill.
func TestLimiterAgainstNoise(t *testing.T) {
	for _, every := range []int{10, 100} {
		t.Run(fmt.Sprint("one in ", every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &limiter{rdb: redistest.Embedded(t)}
				e := &coze.Error{Code: 4013, Class: coze.ClassRate, Scope: coze.ScopeAccount}
				ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
				defer stop()
				var mu sync.Mutex
				dice := rand.New(rand.NewPCG(1, 2))
				taken := 0
				var callers sync.WaitGroup
				for range 64 {
					callers.Go(func() {
						for ctx.Err() == nil {
							p, err := l.take(ctx, forChat, "credential", "bot")
							if far, ok := errors.AsType[*farError](err); ok {
								pause(ctx, far.after)
								continue
							}
							if err != nil {
								return
							}
							mu.Lock()
							refused := dice.IntN(every) == 0
							if !refused {
								taken++
							}
							mu.Unlock()
							if refused {
								_ = l.refused(ctx, p, "credential", "bot", e)
							}
							pause(ctx, time.Second)
						}
					})
				}
				callers.Wait()
				// The callers can do 64 a second; a fixed fraction of that is no collapse.
				t.Logf("%d calls in two minutes", taken)
				if taken < 64*120/4 {
					t.Errorf("%d calls in two minutes, want at least a quarter of what the callers can do", taken)
				}
			})
		})
	}
}
