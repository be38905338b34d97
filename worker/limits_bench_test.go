package worker_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

const (
	envLimits = "COZEQ_LIMITS"      // the hidden limits to run against: "20,200"
	envPlot   = "COZEQ_LIMITS_PLOT" // where the picture of the run at 20/s goes; empty: nowhere
)

// What happens in a trial, counted from the start of its workers.
const (
	warmAt     = 10 * time.Second
	halvedAt   = warmAt + time.Minute
	settledAt  = halvedAt + 10*time.Second
	doubledAt  = settledAt + 20*time.Second
	regainedAt = doubledAt + 30*time.Second
	overAt     = regainedAt + 10*time.Second

	window = 5 * time.Second // in which a settled limiter is looked at
	drain  = 2 * time.Minute // the most that the rest of the queue may take
)

// trial is a limiter's meeting with one hidden limit.
type trial struct {
	limit     float64 // calls a second
	processes int     // workers, of 64 chats each
	http      bool    // refused with HTTP 429 and Retry-After, not with 4013 in a 200
}

func (c trial) String() string {
	name := fmt.Sprintf("%v a second, %d worker", c.limit, c.processes)
	if c.processes > 1 {
		name += "s"
	}
	if c.http {
		name += ", 429"
	}
	return name
}

// figure is one line of the table.
type figure struct {
	what, found, want string
	ok                bool
}

// TestLimits measures what worker processes make of a limit that nobody tells them,
// as the mock of Coze sees it, and holds it against what is promised: docs/limits.md.
// It takes minutes, and its figures are those of a machine that has a core to spare.
func TestLimits(t *testing.T) {
	if os.Getenv(envLimits) == "" {
		t.Skip("make bench-limits runs it")
	}
	logging.Disable() // of a server that is not up yet
	var table strings.Builder
	row := func(cells ...string) {
		fmt.Fprintf(&table, "| %-27s | %-33s | %-26s | %-11s | %-7s |\n", cells[0], cells[1], cells[2], cells[3], cells[4])
	}
	row("trial", "measured", "found", "wanted", "verdict")
	row("---", "---", "---", "---", "---")
	for s := range strings.SplitSeq(os.Getenv(envLimits), ",") {
		limit, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || limit <= 0 {
			t.Fatalf("%s: %q is no limit in calls a second", envLimits, s)
		}
		trials := []trial{{limit, 1, false}, {limit, 3, false}}
		few := limit <= 50 // costs little CPU: its trials go side by side, so there is time for one more
		if few {
			trials = append(trials, trial{limit, 3, true})
		}
		all := make([][]figure, len(trials))
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			for i, c := range trials {
				t.Run(c.String(), func(t *testing.T) {
					if few {
						t.Parallel()
					}
					tape := play(t, c)
					all[i] = append(tape.figures(), tape.end)
					if path := os.Getenv(envPlot); path != "" && c == (trial{20, 3, false}) {
						tape.plot(t, path)
					}
				})
			}
		})
		for i, c := range trials {
			for _, f := range all[i] {
				verdict := "ok"
				if !f.ok {
					verdict = "FAILED"
					t.Errorf("%v: %s: %s, want %s", c, f.what, f.found, f.want)
				}
				row(c.String(), f.what, f.found, f.want, verdict)
			}
		}
	}
	fmt.Print(table.String())
}

// tape is what was seen of a trial.
type tape struct {
	trial
	began time.Time
	mu    sync.Mutex
	calls [overAt / tick]struct{ taken, refused int } // that count for the limit
	rates []rate                                      // as learnt
	end   figure
}

// tick is the resolution of a tape.
const tick = 100 * time.Millisecond

type rate struct {
	at     time.Duration
	learnt float64
}

// see is the mock's Log.
func (p *tape) see(r cozetest.Request) {
	switch r.Path {
	case "/v3/chat", "/v3/chat/retrieve", "/v3/chat/message/list":
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := int(r.Time.Sub(p.began) / tick)
	switch {
	case at >= len(p.calls):
	case r.Code == 4013 || r.Status == 429:
		p.calls[at].refused++
	default:
		p.calls[at].taken++
	}
}

// between returns the share of the limit that was used from one moment to another,
// and the share of the calls that were refused, in per cent.
func (p *tape) between(from, to time.Duration, limit float64) (used, refused float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken, denied := 0, 0
	for _, c := range p.calls[from/tick : to/tick] {
		taken += c.taken
		denied += c.refused
	}
	used = 100 * float64(taken) / (limit * (to - from).Seconds())
	return used, 100 * float64(denied) / float64(max(1, taken+denied))
}

// play lets worker processes meet the limit, which is halved and then doubled, with
// a queue that is never empty; then the queue is worked off.
func play(t *testing.T, c trial) *tape {
	server := redistest.Start(t)
	rdb := server.Client()
	f := newFeed(t, rdb, 64*c.processes+int(5*c.limit))
	p := &tape{trial: c, began: time.Now()}
	fake := cozetest.New(t, cozetest.With(cozetest.Config{
		Latency: 100 * time.Millisecond, Rate: c.limit, RateHTTP: c.http,
		KeepLog: -1, Forget: time.Minute, Log: p.see, Answer: answerTo,
	}))
	for range c.processes {
		hire(t, server.URL(), fake.URL)
	}
	acts := []struct {
		at  time.Duration
		act func()
	}{
		{halvedAt, func() { fake.SetRate(c.limit / 2) }},
		{doubledAt, func() { fake.SetRate(c.limit) }},
		{overAt, func() {}},
	}
	for ticks := time.Tick(tick); len(acts) > 0; <-ticks {
		now := time.Since(p.began)
		if now >= acts[0].at {
			acts[0].act()
			acts = acts[1:]
		}
		limits, err := worker.Limits(t.Context(), rdb)
		if err != nil {
			t.Fatal(err)
		}
		if len(limits) == 1 && limits[0].Rate > 0 && now <= overAt {
			p.rates = append(p.rates, rate{now, limits[0].Rate})
		}
	}
	asked, well := f.close()
	p.end = figure{
		what:  "answered at the first attempt",
		found: fmt.Sprintf("%d of %d, %d twice", well, asked, fake.Repeats()),
		want:  "all, once",
		ok:    well == asked && fake.Accepted() == asked && fake.Repeats() == 0,
	}
	return p
}

// hire starts a worker process of 64 chats, which ends with the test.
func hire(t *testing.T, redisURL, cozeURL string) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), envWorker+"="+redisURL, envCoze+"="+cozeURL, envConcurrency+"=64")
	process.Stderr = t.Output()
	stdin, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := process.Wait(); err != nil {
			t.Errorf("a worker: %v", err)
		}
	})
}

// feed keeps the queue filled and takes every answer.
type feed struct {
	t       *testing.T
	client  *tasks.Client
	waiter  *results.Waiter
	backlog int // asked and not ended

	asked   int
	ended   atomic.Int64
	well    int // of those: completed at the first attempt
	filling sync.WaitGroup
	taking  sync.WaitGroup
	full    context.CancelFunc // ends the filling
	enough  context.CancelFunc // ends the taking too
	over    <-chan struct{}
}

func newFeed(t *testing.T, rdb redis.UniversalClient, backlog int) *feed {
	t.Helper()
	store := results.NewStore(rdb)
	t.Cleanup(func() { store.Close() })
	waiter, err := store.NewWaiter()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(waiter.Close)
	f := &feed{t: t, client: tasks.NewClient(store), waiter: waiter, backlog: backlog}
	ctx, enough := context.WithCancel(t.Context())
	filling, full := context.WithCancel(ctx)
	f.full, f.enough, f.over = full, enough, ctx.Done()
	f.fill(ctx)
	f.filling.Go(func() {
		for ticks := time.Tick(tick); filling.Err() == nil; <-ticks {
			f.fill(ctx)
		}
	})
	f.taking.Go(func() { f.take(ctx) })
	return f
}

func (f *feed) fill(ctx context.Context) {
	for f.asked-int(f.ended.Load()) < f.backlog && ctx.Err() == nil {
		id, err := f.client.Enqueue(ctx, tasks.Ask("bot", fmt.Sprint("question ", f.asked)), tasks.Options{})
		if err == nil {
			err = f.waiter.Add(ctx, id)
		}
		if err != nil {
			f.t.Errorf("question %d: %v", f.asked, err)
			f.enough()
			return
		}
		f.asked++
	}
}

func (f *feed) take(ctx context.Context) {
	for {
		r, err := f.waiter.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		f.ended.Add(1)
		if err != nil {
			f.t.Errorf("wait for an answer: %v", err)
		} else if r.Status == results.Completed && r.Attempts == 1 && !r.PossibleDuplicate {
			f.well++
		}
	}
}

// close fills no more and lets the queue be worked off. It returns how many were
// asked, and how many of them were answered at the first attempt.
func (f *feed) close() (asked, well int) {
	f.full()
	f.filling.Wait()
	late := time.After(drain)
	for ticks := time.Tick(tick); f.ended.Load() < int64(f.asked); {
		select {
		case <-ticks:
			continue
		case <-late:
		case <-f.over:
		}
		break
	}
	f.enough()
	f.taking.Wait()
	return f.asked, f.well
}

// figures holds the tape against what is promised.
func (p *tape) figures() []figure {
	used, refused := p.between(warmAt, halvedAt, p.limit)
	out := []figure{
		atLeast("used, 10 to 70 s", used, 95),
		atMost("refused, 10 to 70 s", refused, 2),
	}
	least, most, worst := math.Inf(1), 0.0, 0.0
	for from := settledAt; from < doubledAt; from += window {
		used, refused := p.between(from, from+window, p.limit/2)
		least, most, worst = min(least, used), max(most, used), max(worst, refused)
	}
	out = append(out,
		figure{"halved: used, each 5 s after 10 s", fmt.Sprintf("%.1f to %.1f %%", least, most), ">= 90 %", least >= 90},
		atMost("halved: refused, the same", worst, 5),
	)
	reached := figure{what: "doubled: 90 % reached after", found: "never", want: "<= 30 s"}
	for to := doubledAt + window; to <= regainedAt; to += time.Second {
		if used, _ := p.between(to-window, to, p.limit); used >= 90 {
			reached.found, reached.ok = fmt.Sprintf("%.0f s", (to-doubledAt).Seconds()), true
			break
		}
	}
	used, _ = p.between(regainedAt, overAt, p.limit)
	return append(out, reached, atLeast("doubled: used, 30 to 40 s after", used, 90))
}

func atLeast(what string, found, want float64) figure {
	return figure{what, fmt.Sprintf("%.1f %%", found), fmt.Sprintf(">= %v %%", want), found >= want}
}

func atMost(what string, found, want float64) figure {
	return figure{what, fmt.Sprintf("%.2f %%", found), fmt.Sprintf("< %v %%", want), found < want}
}

// plot draws what the tape holds: the hidden limit, the rate as learnt, and what the
// mock let through and refused in each second.
func (p *tape) plot(t *testing.T, path string) {
	t.Helper()
	const (
		left, right, top, bottom = 60, 20, 50, 50
		width, height            = 900, 420
		seconds                  = int(overAt / time.Second)
	)
	highest := p.limit
	for _, r := range p.rates {
		highest = max(highest, r.learnt)
	}
	for at := range seconds {
		used, _ := p.between(time.Duration(at)*time.Second, time.Duration(at+1)*time.Second, 1)
		highest = max(highest, used/100)
	}
	step := math.Pow(10, math.Floor(math.Log10(highest)))
	for highest/step < 5 {
		step /= 2
	}
	highest = step * math.Ceil(1.05*highest/step)
	x := func(at time.Duration) float64 {
		return left + (width-left-right)*at.Seconds()/overAt.Seconds()
	}
	y := func(rate float64) float64 { return height - bottom - (height-top-bottom)*rate/highest }

	var svg strings.Builder
	draw := func(format string, args ...any) { fmt.Fprintf(&svg, format+"\n", args...) }
	text := func(x, y float64, anchor, s string) {
		draw(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, s)
	}
	draw(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#333">`, width, height)
	draw(`<title>How the shared limiter finds a hidden limit of %v calls a second, that is halved and doubled</title>`, p.limit)
	draw(`<rect width="100%%" height="100%%" fill="#fff"/>`)
	for r := 0.0; r <= highest; r += step {
		draw(`<path d="M%d %.1fH%d" stroke="#ddd"/>`, left, y(r), width-right)
		text(left-8, y(r)+4, "end", strconv.FormatFloat(r, 'g', 4, 64))
	}
	for at := time.Duration(0); at <= overAt; at += 10 * time.Second {
		text(x(at), height-bottom+18, "middle", fmt.Sprint(at.Seconds()))
	}
	text(left+float64(width-left-right)/2, height-12, "middle", "seconds since the workers were started")
	text(left-45, 22, "start", "calls a second")

	bar := x(time.Second) - x(0)
	for at := range seconds {
		from := time.Duration(at) * time.Second
		used, refused := p.between(from, from+time.Second, 1)
		taken := used / 100
		draw(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#cfe3d4"/>`,
			x(from), y(taken), bar-1, y(0)-y(taken))
		if refused > 0 {
			denied := taken * refused / (100 - refused)
			draw(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#d62728"/>`,
				x(from), y(taken+denied), bar-1, y(0)-y(denied))
		}
	}
	draw(`<path d="M%.1f %.1fH%.1fV%.1fH%.1fV%.1fH%.1f" fill="none" stroke="#333" stroke-width="1.5" stroke-dasharray="6 4"/>`,
		x(0), y(p.limit), x(halvedAt), y(p.limit/2), x(doubledAt), y(p.limit), x(overAt))
	var learnt strings.Builder
	for _, r := range p.rates {
		fmt.Fprintf(&learnt, " %.1f,%.1f", x(r.at), y(r.learnt))
	}
	draw(`<polyline points="%s" fill="none" stroke="#1f5fbf" stroke-width="2"/>`, strings.TrimSpace(learnt.String()))

	for i, k := range []struct{ mark, name string }{
		{`<path d="M%d 18h24" stroke="#333" stroke-width="1.5" stroke-dasharray="6 4"/>`, "hidden limit"},
		{`<path d="M%d 18h24" stroke="#1f5fbf" stroke-width="2"/>`, "rate as learnt"},
		{`<rect x="%d" y="12" width="24" height="12" fill="#cfe3d4"/>`, "let through"},
		{`<rect x="%d" y="12" width="24" height="12" fill="#d62728"/>`, "refused"},
	} {
		at := 260 + 150*i
		draw(k.mark, at)
		text(float64(at)+32, 22, "start", k.name)
	}
	draw(`</svg>`)
	if err := os.WriteFile(path, []byte(svg.String()), 0o644); err != nil {
		t.Error(err)
	}
}
