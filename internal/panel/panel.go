// Package panel shows a run of questions while it is under way: a panel on a terminal, lines of text or of JSON in a
// pipe, and a record for each question.
package panel

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/worker"
)

// Panel is stderr during a run: on a terminal a few lines of progress below everything else, in a pipe a line now and then.
// Others write through it, so that their lines and the panel's do not mix. Fields that are not set are not shown.
type Panel struct {
	streams *terminal.Streams
	Title   string                         // what is under way
	Note    func() (text string, all bool) // what holds the run up, and whether it holds up everything
	Limits  func() []worker.Limit          // the learnt limits of Coze
	JSON    bool                           // in a pipe lines of JSON

	mu    sync.Mutex
	frame []string // the lines at the terminal's end
}

func New(s *terminal.Streams) *Panel { return &Panel{streams: s} }

// live reports whether stderr is a terminal on which lines can be taken back.
func (p *Panel) live() bool { return p.streams.ErrTTY && !p.streams.Dumb() }

// Write prints lines above the panel.
func (p *Panel) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.frame) == 0 {
		return p.streams.Err.Write(b)
	}
	// In one write: erasing and drawing apart would flicker.
	text := p.erased() + string(b) + p.drawn()
	if n, err := io.WriteString(p.streams.Err, text); err != nil {
		return min(n, len(b)), err
	}
	return len(b), nil
}

// Follow shows how far the run is, until stop.
func (p *Panel) Follow(look func() progress.Snapshot) (stop func()) {
	every := terminal.PipeEvery
	if p.live() {
		every = terminal.TerminalEvery
	}
	quit := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				p.show(look())
			}
		}
	})
	return func() {
		close(quit)
		following.Wait()
		p.clear()
	}
}

func (p *Panel) show(s progress.Snapshot) {
	if s.Total == 0 {
		return
	}
	v := p.View(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.live() && p.streams.Background != nil && p.streams.Background():
		// The shell's prompt is at the terminal's end now, not the old panel.
		p.frame = nil
	case p.live():
		before := p.erased()
		width, height := p.streams.TerminalSize()
		p.frame = v.frame(width, height)
		io.WriteString(p.streams.Err, before+p.drawn())
	case p.JSON:
		writeJSONLine(p.streams.Err, progressRecord(v))
	default:
		fmt.Fprintln(p.streams.Err, v.Line())
	}
}

func (p *Panel) View(s progress.Snapshot) *panelView {
	v := &panelView{Snapshot: s, streams: p.streams, title: p.Title}
	if p.Note != nil {
		if v.note, v.stopped = p.Note(); v.note == "" {
			// The pause is over; its parked tasks are in the queue again.
			v.Queued += v.Waiting[progress.WaitPause]
			v.Waiting[progress.WaitPause] = 0
		}
	}
	if p.Limits != nil {
		v.limits = p.Limits()
	}
	return v
}

// Record prints a question with its answer on a terminal's stdout.
func (p *Panel) Record(row *input.Row, r *results.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	io.WriteString(p.streams.Err, p.erased())
	io.WriteString(p.streams.Out, recordText(p.streams, row, r))
	io.WriteString(p.streams.Err, p.drawn())
}

func (p *Panel) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	io.WriteString(p.streams.Err, p.erased())
	p.frame = nil
}

// erased removes the panel line by line. tmux keeps erased lines in its history if the rest of the screen is erased at once.
// A terminal that was made narrower has wrapped the lines into more.
func (p *Panel) erased() string {
	if len(p.frame) == 0 {
		return ""
	}
	width, _ := p.streams.TerminalSize()
	rows := 0
	for _, line := range p.frame {
		rows += max(1, (terminal.Columns(terminal.Plain(line))+width-1)/width)
	}
	return "\r\x1b[2K" + strings.Repeat("\x1b[A\x1b[2K", rows-1)
}

// drawn leaves the cursor at the end of the last line.
func (p *Panel) drawn() string { return strings.Join(p.frame, "\n") }
