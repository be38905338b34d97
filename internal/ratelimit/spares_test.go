package ratelimit

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestSpares: a process takes along what it needed in the last 20 ms, once in 20 ms, and uses none that is older.
func TestSpares(t *testing.T) {
	var s spares
	start := time.Now()
	ask := func(ms int, more int, ok bool) {
		t.Helper()
		_, gotMore, gotOK := s.next("bot", start.Add(time.Duration(ms)*time.Millisecond))
		if gotMore != more || gotOK != ok {
			t.Fatalf("after %d ms: %d more, %t; want %d, %t", ms, gotMore, gotOK, more, ok)
		}
	}
	put := func(ms, n int) { s.put("bot", Permit{At: 1}, n, start.Add(time.Duration(ms)*time.Millisecond)) }
	ask(0, 0, false)
	ask(1, 0, false)
	ask(2, 0, false)
	ask(20, 3, false) // four in 20 ms
	ask(21, 0, false) // before the reply: alone
	put(20, 3)
	ask(22, 0, true)
	ask(39, 0, true)
	ask(40, 3, false) // the third is too old
	s.drop()
	put(40, 2) // the reply of a request from before
	ask(41, 0, false)
	ask(141, 0, false) // two in 100 ms
	for range 200 {
		ask(142, 0, false)
	}
	ask(161, mostSpares, false)
	put(161, mostSpares)
	if _, more, ok := s.next("other", start.Add(162*time.Millisecond)); more != 0 || ok {
		t.Errorf("another bot: %d more, %t", more, ok)
	}
}

// TestSparesAreSavedUp: the script gives no more than the limit has saved up, and none where a pause or a bot's limit must be
// seen by each call.
func TestSparesAreSavedUp(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for name, tt := range map[string]struct {
			saved, more, want int
			also              string // a key beside the limit
		}{
			"enough":        {saved: 50, more: 30, want: 30},
			"fewer":         {saved: 11, more: 30, want: 10},
			"none":          {saved: 1, more: 30, want: 0},
			"a bot's limit": {saved: 50, more: 30, want: 0, also: rediskey.Limit("credential", "bot")},
			"a pause":       {saved: 50, more: 30, want: 0, also: rediskey.Pause("credential", "bot")},
		} {
			t.Run(name, func(t *testing.T) {
				ctx, limit := t.Context(), rediskey.Limit("credential", "")
				rdb.Del(ctx, limit, rediskey.Limit("credential", "bot"), rediskey.Pause("credential", "bot"))
				now := rdb.Time(ctx).Val().UnixMilli() + 60_000 // nothing more is saved up meanwhile
				rdb.HSet(ctx, limit, "rate", 1000, "top", 1000, "at", now, "tokens", tt.saved)
				if tt.also != "" {
					rdb.HSet(ctx, tt.also, "rate", 1000, "tokens", 50, "at", now)
				}
				l := &Limiter{Redis: rdb}
				q := l.Request(ForChat, "credential", "bot")
				q.more, q.at = tt.more, time.Now()
				l.spares.of = map[string]*spare{q.keys[1]: {refill: q.at}}
				if _, err := q.Await(ctx, limitScript.Run(ctx, rdb, q.keys, q.args()...)); err != nil {
					t.Fatal(err)
				}
				if got := l.spares.of[q.keys[1]].left; got != tt.want {
					t.Errorf("%d permits more, want %d", got, tt.want)
				}
				if issued, err := rdb.HGet(ctx, limit, "issued").Int(); err != nil || issued != 1+tt.want {
					t.Errorf("%d were issued, want %d: %v", issued, 1+tt.want, err)
				}
				if got, want := rdb.HGet(ctx, limit, "calls").Val(), rdb.HGet(ctx, limit, "issued").Val(); got != want {
					t.Errorf("%s calls are counted, want %s", got, want)
				}
			})
		}
	})
}

// TestSparesAreDropped: after a refusal each chat asks Redis again, as it does after a pause that this process began.
func TestSparesAreDropped(t *testing.T) {
	for name, drop := range map[string]func(*Limiter) error{
		"a refusal": func(l *Limiter) error {
			return l.Refused(t.Context(), Permit{At: 1, Rate: 20}, "credential", "bot", &coze.Error{Class: coze.ClassRate, Scope: coze.ScopeAccount})
		},
		"a pause": func(l *Limiter) error { l.DropSpares(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			l := &Limiter{Redis: redistest.Embedded(t)}
			q := l.Request(ForChat, "credential", "bot")
			l.spares.of = map[string]*spare{q.keys[1]: {permit: Permit{At: 1}, left: 9, until: time.Now().Add(time.Hour)}}
			if cmd := q.Send(t.Context(), l.Redis); cmd != nil {
				t.Fatal("a spare permit was not used")
			}
			if p, err := q.Await(t.Context(), nil); err != nil || p.At != 1 {
				t.Errorf("permit %+v, %v", p, err)
			}
			if err := drop(l); err != nil {
				t.Fatal(err)
			}
			if cmd := l.Request(ForChat, "credential", "bot").Send(t.Context(), l.Redis); cmd == nil {
				t.Error("a spare permit was used")
			}
		})
	}
}
