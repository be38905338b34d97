package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/rediskey"
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
	s.level = min(max(s.rate, 1), s.level+now.Sub(s.filled).Seconds()*s.rate)
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
		l := &Limiter{Redis: rdb}
		for range 64 {
			callers.Go(func() {
				for ctx.Err() == nil {
					p, err := l.Take(ctx, ForChat, "credential", "bot")
					if err != nil {
						if long, ok := errors.AsType[*LongWaitError](err); ok && ctx.Err() == nil {
							_ = backoff.Sleep(ctx, long.After)
							continue
						}
						return
					}
					if s.take() {
						_ = backoff.Sleep(ctx, 250*time.Millisecond) // the answer
						continue
					}
					if err := l.Refused(ctx, p, "credential", "bot", coze4013); err != nil {
						return
					}
					_ = backoff.Sleep(ctx, time.Second)
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

// crowd is callers who ask, in one process, a server that has a limit, and refuses a share of the calls however slowly
// they come. Each of them can make a call a second.
type crowd struct {
	callers int
	limiter Limiter // without its Redis
	known   float64 // before the first call
	limit   float64 // 0 = none

	mu    sync.Mutex
	noise float64
}

func (c *crowd) set(noise float64) {
	c.mu.Lock()
	c.noise = noise
	c.mu.Unlock()
}

// gather has the callers ask until the end of the test; count returns what became of the calls since the last count.
func (c *crowd) gather(t *testing.T) (s *server, count func() (taken, denied int)) {
	t.Helper()
	l := &c.limiter
	l.Redis = redistest.Embedded(t)
	refusal := &coze.Error{Code: 4013, Class: coze.ClassRate, Scope: coze.ScopeAccount}
	s = &server{rate: c.limit, level: c.limit, filled: time.Now()}
	if c.limit == 0 {
		s.rate, s.level = 1e6, 1e6
	}
	if c.known > 0 {
		if err := l.Know(t.Context(), "credential", c.known); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	dice := rand.New(rand.NewPCG(1, 2))
	unlucky := 0
	var callers sync.WaitGroup
	for range c.callers {
		callers.Go(func() {
			for ctx.Err() == nil {
				p, err := l.Take(ctx, ForChat, "credential", "bot")
				if long, ok := errors.AsType[*LongWaitError](err); ok {
					_ = backoff.Sleep(ctx, long.After)
					continue
				}
				if err != nil {
					return
				}
				c.mu.Lock()
				chance := dice.Float64() < c.noise
				if chance {
					unlucky++
				}
				c.mu.Unlock()
				if chance || !s.take() {
					_ = l.Refused(ctx, p, "credential", "bot", refusal)
				}
				_ = backoff.Sleep(ctx, time.Second)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		callers.Wait()
	})
	return s, func() (taken, denied int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		taken, denied = s.count()
		denied += unlucky
		unlucky = 0
		return taken, denied
	}
}

// TestLimiterAgainstNoise has a share of the calls refused however slowly they come: that is no limit, and must not end
// in a standstill.
func TestLimiterAgainstNoise(t *testing.T) {
	for share, least := range map[float64]float64{0.01: 0.3, 0.1: 0.6, 0.4: 0.6, 0.7: 0.5} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{callers: 64, noise: share}
				_, count := c.gather(t)
				time.Sleep(2 * time.Minute)
				taken, denied := count()
				most := 64 * 120 * (1 - share)
				t.Logf("%d calls taken in two minutes, %d refused", taken, denied)
				if float64(taken) < least*most {
					t.Errorf("%d calls taken in two minutes, want %.0f of the %.0f that the callers can do", taken, least*most, most)
				}
			})
		})
	}
}

// TestLimiterAfterAnOutage has everything refused for half a minute: little is asked then, and all again soon after.
func TestLimiterAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{callers: 64}
		_, count := c.gather(t)
		time.Sleep(30 * time.Second)
		c.set(1)
		time.Sleep(10 * time.Second)
		count()
		time.Sleep(20 * time.Second)
		if _, denied := count(); denied > 64*20*3/4 {
			t.Errorf("%d calls refused in the outage's last 20 s", denied)
		}
		c.set(0)
		time.Sleep(10 * time.Second)
		count()
		time.Sleep(10 * time.Second)
		if taken, _ := count(); taken < 64*10*9/10 {
			t.Errorf("%d calls in 10 s, 10 s after the outage, want nearly 640", taken)
		}
	})
}

// TestLimiterFarAboveTheLimit starts at, or is left with, a rate that is many times the limit: that is no noise.
func TestLimiterFarAboveTheLimit(t *testing.T) {
	for _, c := range []struct {
		name        string
		crowd       *crowd
		then        float64 // the limit, after half a minute
		least, most float64 // used, refused
	}{
		{"--rate is wrong", &crowd{callers: 64, limiter: Limiter{Highest: 1000}, limit: 20}, 20, 0.95, 0.02},
		{"the limit falls", &crowd{callers: 256, limit: 200}, 4, 0.7, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, count := c.crowd.gather(t)
				time.Sleep(30 * time.Second)
				s.set(c.then)
				time.Sleep(30 * time.Second)
				count()
				time.Sleep(time.Minute)
				taken, denied := count()
				used, refused := float64(taken)/60/c.then, float64(denied)/float64(taken+denied)
				t.Logf("used %.1f %%, refused %.2f %%", 100*used, 100*refused)
				if used < c.least || refused > c.most {
					t.Errorf("used %.1f %%, refused %.2f %% in the minute after the first 30 s", 100*used, 100*refused)
				}
			})
		})
	}
}

// TestLimiterStart begins at the rate that is known, not at 20, and does not run past a limit that is near it.
func TestLimiterStart(t *testing.T) {
	for _, c := range []struct {
		name  string
		crowd *crowd
		least float64 // calls a second in the first 5 s
	}{
		{"nothing is known", &crowd{callers: 256, limit: 200}, 0},
		{"--rate", &crowd{callers: 256, limiter: Limiter{Highest: 100}, limit: 200}, 98},
		{"the plan's", &crowd{callers: 256, known: 180, limit: 200}, 176},
		{"the plan's, but --rate is lower", &crowd{callers: 256, limiter: Limiter{Highest: 50}, known: 180, limit: 200}, 49},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, count := c.crowd.gather(t)
				time.Sleep(5 * time.Second)
				taken, denied := count()
				t.Logf("%d calls in 5 s, %d refused", taken, denied)
				if float64(taken) < 5*c.least {
					t.Errorf("%d calls in 5 s, want %.0f", taken, 5*c.least)
				}
				if c.least > 0 && denied > 0 {
					t.Errorf("%d calls were refused", denied)
				}
			})
		})
	}
}

// TestKnownRateIsNoNews has a rate that comes late change nothing that was learnt.
func TestKnownRateIsNoNews(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, l := t.Context(), &Limiter{Redis: rdb}
		rate := func(want float64) {
			t.Helper()
			if got, learnt, err := l.rate(ctx, "credential"); err != nil || got != want || !learnt {
				t.Errorf("got %v, %v, %v, want %v", got, learnt, err, want)
			}
		}
		for _, known := range []float64{100, 300} { // the second comes from another process
			if err := l.Know(ctx, "credential", known); err != nil {
				t.Fatal(err)
			}
			rate(100)
		}
		p, err := l.Take(ctx, ForChat, "credential", "bot")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Refused(ctx, p, "credential", "bot", &coze.Error{Code: 4013, Class: coze.ClassRate, Scope: coze.ScopeAccount}); err != nil {
			t.Fatal(err)
		}
		if err := l.Know(ctx, "credential", 300); err != nil {
			t.Fatal(err)
		}
		rate(85)
		if ttl := rdb.TTL(ctx, rediskey.Limit("credential", "")).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("kept for %v, want an hour", ttl)
		}
	})
}

// TestBotIsCounted has a bot's calls counted under its own limit: a share is taken of them.
func TestBotIsCounted(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, l := t.Context(), &Limiter{Redis: rdb}
		for range 3 { // the first is refused, and makes the bot's limit
			p, err := l.Take(ctx, ForChat, "credential", "bot")
			if err != nil {
				t.Fatal(err)
			}
			if p.Rate == 20 {
				_ = l.Refused(ctx, p, "credential", "bot", &coze.Error{Class: coze.ClassRate, Scope: coze.ScopeBot})
			}
		}
		if n := rdb.HGet(ctx, rediskey.Limit("credential", "bot"), "calls").Val(); n != "2" {
			t.Errorf("%q calls of the bot, want 2", n)
		}
	})
}

// TestApart: a refused workflow slows down workflows, and no chats, unless an operator's bound is for both; a refused upload slows
// down uploads alone.
func TestApart(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		account := rediskey.Limit("c", "")
		for _, tt := range []struct {
			highest    float64
			asked, cut string
		}{
			{0, "workflow:736", account + ":workflows"}, {50, "workflow:736", account},
			{0, Uploads, account + ":uploads"}, {50, Uploads, account + ":uploads"},
		} {
			l := Limiter{Redis: rdb, Highest: tt.highest}
			p, err := l.Take(t.Context(), ForLookup, "c", tt.asked)
			if err == nil {
				err = l.Refused(t.Context(), p, "c", tt.asked, &coze.Error{Class: coze.ClassRate, Scope: coze.ScopeAccount})
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{account, account + ":workflows", account + ":uploads"} {
				if cut, err := rdb.HExists(t.Context(), key, "top").Result(); err != nil || cut != (key == tt.cut) {
					t.Errorf("%s, highest %v: the limit %s was cut: %t, %v", tt.asked, tt.highest, key, cut, err)
				}
				rdb.Del(t.Context(), key)
			}
		}
	})
}
