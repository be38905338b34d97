package panel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// In a pipe: a plain line every ten seconds, and the lines of others as they are.
func TestPanelInPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		p := New(&terminal.Streams{Err: &errs, Width: 80})
		p.Title = "q.csv"
		began := time.Now()
		stop := p.Follow(func() progress.Snapshot {
			return progress.Snapshot{
				Total: 12_000, Done: 1_500, Failed: 3, Cached: 20, InFlight: 64, Queued: 430, Rate: 17.5, Tokens: 45_678,
				Elapsed: time.Since(began), Left: 10 * time.Minute,
			}
		})
		time.Sleep(12 * time.Second) // the bubble's time
		fmt.Fprintln(p, "a line of the log")
		time.Sleep(10 * time.Second)
		stop()
		want := "1,500/12,000 done  3 failed  20 cached  10,500 open (64 in flight, 430 in the queue)  17.5/s  45,678 tokens  10s  ~10m left\n" +
			"a line of the log\n" +
			"1,500/12,000 done  3 failed  20 cached  10,500 open (64 in flight, 430 in the queue)  17.5/s  45,678 tokens  20s  ~10m left\n"
		if errs.String() != want {
			t.Errorf("got\n%s\nwant\n%s", errs.String(), want)
		}
	})
}

// A terminal that knows no escape codes is a pipe.
func TestPanelOnDumbTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		p := New(&terminal.Streams{Err: &errs, ErrTTY: true, Width: 80, Env: func(name string) (string, bool) { return "dumb", name == "TERM" }})
		stop := p.Follow(func() progress.Snapshot { return progress.Snapshot{Total: 12, Done: 5} })
		time.Sleep(11 * time.Second) // the bubble's time
		stop()
		if want := "5/12 done  7 open  0s\n"; errs.String() != want {
			t.Errorf("got %q, want %q", errs.String(), want)
		}
	})
}

// For programs: a line of JSON every ten seconds.
func TestPanelForPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		p := New(&terminal.Streams{Err: &errs, Width: 80})
		p.JSON = true
		p.Note = func() (string, bool) { return "paused: 4028 (quota)", true }
		p.Limits = func() []worker.Limit { return []worker.Limit{{Rate: 20}} }
		s := busySnapshot()
		stop := p.Follow(func() progress.Snapshot { return s })
		time.Sleep(11 * time.Second) // the bubble's time
		stop()
		var got map[string]any
		if err := json.Unmarshal(errs.Bytes(), &got); err != nil || strings.Count(errs.String(), "\n") != 1 {
			t.Fatalf("%v: %s", err, errs.String())
		}
		want := `{"event":"progress","time":"2000-01-01T00:00:10Z","total":10000,"done":5803,"failed":13,"cached":120,` +
			`"failures":{"permanent":4,"timeout":9},"open":4197,"in_flight":64,"running":64,"queued":1990,"waiting":{"rate":4,"same":2,"turn":33},` +
			`"usage":{"token_count":1705200,"output_count":235200,"input_count":1470000},"rate":17.46,"mean_rate":16.2,"limits":[20],` +
			`"elapsed_seconds":351,"held_up":"paused: 4028 (quota)"}` + "\n"
		if errs.String() != want {
			t.Errorf("got  %s\nwant %s", errs.String(), want)
		}
	})
}

// On a terminal: some lines, below whatever else is printed, and gone at the end.
func TestPanelOnTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		p := New(&terminal.Streams{Err: &errs, ErrTTY: true, Width: 40})
		stop := p.Follow(func() progress.Snapshot { return progress.Snapshot{Total: 12, Done: 6, InFlight: 6} })
		time.Sleep(terminal.TerminalEvery)
		synctest.Wait()
		fmt.Fprintln(p, "a line")
		stop()
		const panel = "[===========>             ]  50 %  6/12\nopen     6: 6 in flight\ntime     0s"
		const erase = "\r\x1b[2K\x1b[A\x1b[2K\x1b[A\x1b[2K"
		if want := panel + erase + "a line\n" + panel + erase; errs.String() != want {
			t.Errorf("got  %q\nwant %q", errs.String(), want)
		}
	})
}

// In the background the terminal belongs to the shell and its prompt.
func TestPanelInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		var background atomic.Bool
		p := New(&terminal.Streams{Err: &errs, ErrTTY: true, Width: 40, Background: background.Load})
		stop := p.Follow(func() progress.Snapshot { return progress.Snapshot{Total: 12, Done: 6, InFlight: 6} })
		time.Sleep(terminal.TerminalEvery)
		synctest.Wait()
		errs.Reset()
		background.Store(true)
		time.Sleep(terminal.TerminalEvery)
		synctest.Wait()
		fmt.Fprintln(p, "a line")
		stop()
		if want := "a line\n"; errs.String() != want {
			t.Errorf("got %q, want %q", errs.String(), want)
		}
	})
}

// screen is a terminal as far as the panel needs one: it breaks lines at its width, and
// heeds CR, LF, cursor up and erase.
type screen struct {
	width int
	lines []string
	row   int
	col   int
}

func (s *screen) Write(b []byte) (int, error) {
	text := string(b)
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' }) + 2
			n := 1
			fmt.Sscanf(text[2:end], "%d", &n)
			switch text[end] {
			case 'A':
				s.row = max(0, s.row-n)
			case 'K':
				if s.row < len(s.lines) {
					s.lines[s.row] = ""
				}
			}
			text = text[end+1:]
			continue
		case text[0] == '\r':
			s.col = 0
		case text[0] == '\n':
			s.row, s.col = s.row+1, 0
		default:
			end := strings.IndexAny(text, "\x1b\r\n")
			if end < 0 {
				end = len(text)
			}
			for len(s.lines) <= s.row {
				s.lines = append(s.lines, "")
			}
			s.lines[s.row] += text[:end]
			s.col += terminal.Columns(text[:end])
			text = text[end:]
			continue
		}
		text = text[1:]
	}
	return len(b), nil
}

// text is what stands on it, without empty lines at the end.
func (s *screen) text() string { return strings.TrimRight(strings.Join(s.lines, "\n"), "\n") }

// narrow breaks the lines anew, as a terminal does that is made narrower.
func (s *screen) narrow(width int) {
	var lines []string
	for _, line := range s.lines[:s.row+1] { // below the cursor nothing stands
		for terminal.Columns(line) > width {
			head := terminal.Cut(line, width+1)
			head = strings.TrimSuffix(head, "…")
			lines = append(lines, head)
			line = line[len(head):]
		}
		lines = append(lines, line)
	}
	s.width, s.lines, s.row = width, lines, len(lines)-1
}

// TestPanelResized leaves nothing of the wide panel when the terminal becomes narrow.
func TestPanelResized(t *testing.T) {
	screen := &screen{width: 120}
	p := New(&terminal.Streams{Err: screen, ErrTTY: true, Size: func() (int, int) { return screen.width, 24 }})
	p.Title = "客服问题.xlsx → 答案.csv"
	fmt.Fprintln(p, "a line before")
	p.show(busySnapshot())
	for _, width := range []int{80, 40, 41, 200, 30} {
		screen.narrow(width)
		p.show(busySnapshot())
		if got, want := screen.text(), "a line before\n"+strings.Join(p.frame, "\n"); got != want {
			t.Errorf("at %d:\n%s\nwant\n%s", width, got, want)
		}
	}
	fmt.Fprintln(p, "a line after")
	p.clear()
	if got := screen.text(); got != "a line before\na line after" {
		t.Errorf("left: %q", got)
	}
}

func busySnapshot() progress.Snapshot {
	s := progress.Snapshot{
		Total: 10_000, Done: 5_803, Failed: 13, Cached: 120,
		Failures: []progress.ClassCount{{Class: "timeout", Count: 9}, {Class: "permanent", Count: 4}},
		InFlight: 64, Queued: 1_990,
		Tokens: 1_705_200, TokensIn: 1_470_000, TokensOut: 235_200, Counted: 5_683,
		Rate: 17.46, Mean: 16.2, Left: 4*time.Minute + 19*time.Second, Elapsed: 351 * time.Second,
	}
	s.Waiting[progress.WaitTurn], s.Waiting[progress.WaitRate], s.Waiting[progress.WaitSame] = 33, 4, 2
	return s
}

// TestPanelFrames holds what the panel looks like in some situations at some widths
// against testdata/panel; UPDATE_SCRIPTS writes it anew.
func TestPanelFrames(t *testing.T) {
	busy := busySnapshot()
	two := []worker.Limit{{Rate: 3}, {Rate: 20}}
	views := []struct {
		name string
		view panelView
	}{
		{"begins", panelView{Snapshot: progress.Snapshot{Total: 1_000_000, Queued: 500, Elapsed: 400 * time.Millisecond}}},
		{"busy", panelView{Snapshot: busy, limits: two[1:]}},
		{"slow, two credentials", panelView{limits: two, Snapshot: progress.Snapshot{
			Total: 40, Done: 39, InFlight: 1, Rate: 0.05, Mean: 0.004, Elapsed: 9*time.Hour + 59*time.Minute, Left: 20 * time.Second,
		}}},
		{"paused", panelView{Snapshot: busy, limits: two[1:], stopped: true,
			note: "paused: 4028 (quota) since 12:03:04, next probe in 29s, and 1 more"}},
		{"a bot is paused", panelView{Snapshot: busy, note: "bot 客服机器人 paused: 4015 (permanent)"}},
		{"detached", panelView{Snapshot: func() progress.Snapshot {
			s := progress.Snapshot{Total: 200, Done: 50, Failed: 1, InFlight: 8, Queued: 100, Tokens: 900, Counted: 50, Rate: 1, Mean: 1}
			s.Failures = []progress.ClassCount{{Class: "permanent", Count: 1}}
			s.Waiting[progress.WaitOther] = 42
			return s
		}()}},
		{"workers of others", panelView{Snapshot: progress.Snapshot{Total: 200, Done: 50, Elapsed: time.Minute}}},
		{"all done", panelView{Snapshot: progress.Snapshot{Total: 200, Done: 200, Tokens: 900, TokensIn: 100, TokensOut: 800, Elapsed: time.Minute}}},
	}
	for _, width := range []int{20, 40, 80, 120, 200} {
		var b strings.Builder
		for _, v := range views {
			v.view.streams = &terminal.Streams{ErrTTY: true}
			v.view.title = "客服问题（三月）.xlsx → 答案.csv"
			fmt.Fprintf(&b, "-- %s --\n", v.name)
			for _, line := range v.view.frame(width, 24) {
				if terminal.Columns(line) >= width {
					t.Errorf("%s at %d: %d columns: %q", v.name, width, terminal.Columns(line), line)
				}
				b.WriteString(strings.TrimRight(line, " ") + "\n")
			}
		}
		file := filepath.Join("testdata", "panel", fmt.Sprintf("%d.golden", width))
		if os.Getenv("UPDATE_SCRIPTS") != "" {
			if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("at %d:\n%s\nwant\n%s", width, b.String(), want)
		}
	}
}

// A terminal of few lines shows what matters most.
func TestPanelOnLowTerminal(t *testing.T) {
	v := panelView{Snapshot: busySnapshot(), streams: &terminal.Streams{}, note: "paused: 4028 (quota)"}
	for height, want := range map[int]int{1: 1, 2: 1, 4: 3, 24: 9} {
		if lines := v.frame(80, height); len(lines) != want || !strings.Contains(lines[0], "58 %") {
			t.Errorf("%d lines: %q", height, lines)
		}
	}
}

// When a pause is over, who waited for its end stands in the queue.
func TestPanelAfterPause(t *testing.T) {
	s := progress.Snapshot{Total: 10, InFlight: 1, Queued: 1}
	s.Waiting[progress.WaitPause], s.Waiting[progress.WaitRate] = 2, 1
	note := "paused: 4028 (quota)"
	p := New(&terminal.Streams{})
	p.Note = func() (string, bool) { return note, note != "" }
	if v := p.View(s); v.Queued != 1 || v.Waiting[progress.WaitPause] != 2 {
		t.Errorf("while it holds: %d in the queue, waiting %v", v.Queued, v.Waiting)
	}
	note = ""
	if v := p.View(s); v.Queued != 3 || v.Waiting.Total() != 1 {
		t.Errorf("after it: %d in the queue, waiting %v", v.Queued, v.Waiting)
	}
}

// The time left is a guess, and no finer than a second.
func TestPanelTimeLeft(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", 170 * time.Millisecond: "~1s left", 8940 * time.Millisecond: "~9s left", 90 * time.Second: "~1m30s left",
	} {
		v := panelView{Snapshot: progress.Snapshot{Left: d}}
		if got := v.left(); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Colour is paint only: without it the panel is the same.
func TestPanelColour(t *testing.T) {
	v := panelView{Snapshot: busySnapshot(), note: "paused: 4028 (quota)", title: "q"}
	v.streams = &terminal.Streams{}
	grey := v.frame(80, 24)
	v.streams = &terminal.Streams{Color: true}
	for i, line := range v.frame(80, 24) {
		if terminal.Plain(line) != grey[i] || line == grey[i] {
			t.Errorf("%q, without colour %q", line, grey[i])
		}
	}
}

func TestPerTime(t *testing.T) {
	for rate, want := range map[float64]string{0: "0.0/s", 17.46: "17.5/s", 1: "1.0/s", 0.5: "30.0/min", 1.0 / 60: "1.0/min", 0.01: "36/h"} {
		if got := perTime(rate); got != want {
			t.Errorf("%v: %q, want %q", rate, got, want)
		}
	}
}
