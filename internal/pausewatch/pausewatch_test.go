package pausewatch

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/worker"
)

// TestPatience plays what a command sees, a look a second, and tells at which look
// it gave up.
func TestPatience(t *testing.T) {
	begun := time.Now()
	quota := worker.Pause{Credential: "c1", Code: 4028, Class: "quota", Since: begun}
	auth := worker.Pause{Credential: "c1", Code: 4100, Class: "auth", Since: begun}
	bot := worker.Pause{Credential: "c1", BotID: "b1", Code: 4015, Class: "permanent", Since: begun}
	busy := worker.Pause{Credential: "c1", BotID: "b2", Code: 4028, Class: "quota", Since: begun}
	away := worker.Pause{Credential: "c1", Class: "transient", Message: "no route", Since: begun}
	page := worker.Pause{Credential: "c1", Class: "endpoint", Message: "a page", Since: begun}
	again := quota
	again.Since = begun.Add(time.Hour)

	whole := func(p worker.Pause) Snapshot {
		return Snapshot{standing: []worker.Pause{p}, Held: []worker.Pause{p}, all: true, whole: true}
	}
	aside := func(all bool, p ...worker.Pause) Snapshot { return Snapshot{standing: p, Held: p, all: all} }
	times := func(n int, s Snapshot) []Snapshot {
		all := make([]Snapshot, n)
		for i := range all {
			all[i] = s
		}
		return all
	}
	join := func(parts ...[]Snapshot) (all []Snapshot) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	def := Timeouts{Quota: 10 * time.Second, Outage: 5 * time.Second}
	for name, tt := range map[string]struct {
		patience Timeouts
		looks    []Snapshot
		done     func(look int) int // nil: none ends
		stops    int                // the look after which it stops, from 1; 0: never
		subject  string
		says     []string
	}{
		"nothing":               {def, times(20, Snapshot{}), nil, 0, "", nil},
		"auth at once":          {def, times(3, whole(auth)), nil, 1, "", nil},
		"auth with patience":    {Timeouts{5 * time.Second, 5 * time.Second, 5 * time.Second}, times(9, whole(auth)), nil, 6, "", []string{"waiting up to 5s"}},
		"quota":                 {def, times(20, whole(quota)), nil, 11, "", []string{"waiting up to 10s"}},
		"out of reach":          {def, times(20, whole(away)), nil, 6, "", []string{"waiting up to 5s: Coze is out of reach (no route)"}},
		"endpoint":              {def, times(20, whole(page)), nil, 6, "", []string{"waiting up to 5s: Coze's API does not answer at the base URL (a page)"}},
		"another worker's way":  {def, times(20, whole(page)), func(n int) int { return n / 2 }, 0, "", []string{"waiting up to 5s"}},
		"it is lost, too":       {def, times(20, whole(page)), func(n int) int { return min(n, 8) }, 14, "", []string{"waiting up to 5s"}},
		"those in flight end":   {def, times(20, whole(quota)), func(n int) int { return n }, 11, "", []string{"waiting up to 10s"}},
		"it ends before":        {def, join(times(9, whole(quota)), times(9, Snapshot{})), nil, 0, "", []string{"waiting up to 10s", "the pause is over"}},
		"another one":           {def, join(times(9, whole(quota)), times(1, Snapshot{}), times(9, whole(again))), nil, 0, "", []string{"waiting", "the pause is over", "waiting"}},
		"a bot, others flow":    {def, times(20, aside(false, bot)), nil, 0, "", nil},
		"a bot, nothing else":   {def, times(9, aside(true, bot)), nil, 4, "bot b1", nil},
		"a bot's quota":         {def, times(20, aside(true, busy)), nil, 11, "bot b2", []string{"waiting up to 10s"}},
		"two bots, one returns": {def, times(20, aside(true, bot, busy)), nil, 11, "bot b1", []string{"waiting up to 10s"}},
		"a probe under way": {def, join(times(5, aside(true, busy)), times(3, aside(false, busy)), times(9, aside(true, busy))),
			nil, 11, "bot b2", []string{"waiting up to 10s"}},
		"others were fed": {def, join(times(2, aside(true, bot)), times(2, aside(false, bot)), times(9, aside(true, bot))),
			func(n int) int { return n / 3 }, 0, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				var said bytes.Buffer
				look := 0
				w := &Watch{Patience: tt.patience, stop: stop, Settle: FeedTime, Say: &said, Done: func() int {
					if tt.done == nil {
						return 0
					}
					return tt.done(look)
				}}
				stopped := 0
				for i, s := range tt.looks {
					look = i
					w.consider(s)
					if ctx.Err() != nil {
						stopped = i + 1
						break
					}
					time.Sleep(Every) // the bubble's time
				}
				if stopped != tt.stops {
					t.Errorf("stopped at look %d, want %d", stopped, tt.stops)
				}
				if tt.stops > 0 {
					e, ok := errors.AsType[*exitcode.StoppedError](context.Cause(ctx))
					if !ok || e.Subject != tt.subject {
						t.Errorf("cause %v", context.Cause(ctx))
					}
				}
				lines := strings.Split(strings.TrimSuffix(said.String(), "\n"), "\n")
				if len(tt.says) == 0 && said.Len() > 0 || len(tt.says) > 0 && len(lines) != len(tt.says) {
					t.Fatalf("said %q, want %q", said.String(), tt.says)
				}
				for i, want := range tt.says {
					if !strings.Contains(lines[i], want) {
						t.Errorf("line %d: %q, want %q in it", i+1, lines[i], want)
					}
				}
			})
		})
	}
}

// TestStoppedBy keeps every reason, and the first one's hint.
func TestStoppedBy(t *testing.T) {
	err := stoppedBy([]worker.Pause{
		{BotID: "b1", Code: 4015, Class: "permanent", Message: "not published", Hint: "Publish it."},
		{BotID: "b2", Code: 4028, Class: "quota", Message: "used up"},
	}, 0, "ask again")
	want := "stopped, bot b1 cannot be asked: coze 4015 (permanent): not published; bot b2: coze 4028 (quota): used up"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if code, hint := exitcode.Of(err); code != exitcode.Stopped || hint != "Publish it. Then ask again." {
		t.Errorf("%d %q", code, hint)
	}
}

// TestNoToken is told by the verdict alone, if it is one on a question of ours.
func TestNoToken(t *testing.T) {
	missing := worker.Verdict{Action: worker.Later, Class: coze.ClassAuth, Err: &coze.Error{Op: "identity", Class: coze.ClassAuth}}
	for name, tt := range map[string]struct {
		id       string
		patience Timeouts
		want     bool
	}{
		"ours":          {"r-1", Timeouts{}, true},
		"somebody's":    {"x", Timeouts{}, false},
		"with patience": {"r-1", Timeouts{Other: time.Minute}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			w := &Watch{Patience: tt.patience, stop: stop, OpenRows: func() []progress.OpenRow { return []progress.OpenRow{{ID: "r-1"}} }}
			w.Verdict(tt.id, missing)
			if got := ctx.Err() != nil; got != tt.want {
				t.Errorf("stopped: %v, want %v", got, tt.want)
			}
		})
	}
}
