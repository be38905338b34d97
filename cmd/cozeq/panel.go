package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/batch"
	"github.com/cozeq/cozeq/results"
)

// How often progress is shown: what an eye can follow, and what a log can bear.
const (
	terminalEvery = 150 * time.Millisecond
	pipeEvery     = 10 * time.Second
)

// panel is stderr while a run is under way: a line of progress below whatever
// else is printed. Others write through it, so that their lines and the panel's
// do not mix.
type panel struct {
	streams *streams
	note    func() (text string, all bool) // what holds the run up, and whether altogether; nil: nothing does

	mu   sync.Mutex
	line string // what stands on the terminal's last line
}

func newPanel(s *streams) *panel { return &panel{streams: s} }

// Write prints lines above the panel.
func (p *panel) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	n, err := p.streams.Err.Write(b)
	p.draw()
	return n, err
}

// follow shows how far the run is, until stop: on a terminal in a line that
// changes, in a pipe in a new line now and then.
func (p *panel) follow(look func() batch.Snapshot) (stop func()) {
	every := pipeEvery
	if p.streams.ErrTTY {
		every = terminalEvery
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

func (p *panel) show(s batch.Snapshot) {
	if s.Total == 0 {
		return
	}
	text := p.progress(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.streams.ErrTTY {
		fmt.Fprintln(p.streams.Err, text)
		return
	}
	p.erase()
	p.line = cut(text, p.streams.Width-1)
	p.draw()
}

// record prints a question with its answer on a terminal's stdout.
func (p *panel) record(row *batch.Row, r *results.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	io.WriteString(p.streams.Out, recordText(p.streams, row, r))
	p.draw()
}

// clear takes the line away.
func (p *panel) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.line = ""
}

func (p *panel) erase() {
	if p.line != "" {
		io.WriteString(p.streams.Err, "\r\x1b[K")
	}
}

func (p *panel) draw() {
	if p.line != "" {
		io.WriteString(p.streams.Err, p.line)
	}
}

// progress is a snapshot in one line, with what holds the run up.
func (p *panel) progress(s batch.Snapshot) string {
	text, all := "", false
	if p.note != nil {
		text, all = p.note()
	}
	parts := []string{fmt.Sprintf("%s/%s done", count(s.Done), count(s.Total))}
	if s.Failed > 0 {
		parts = append(parts, count(s.Failed)+" failed")
	}
	if all {
		return strings.Join(append(parts, text), "  ")
	}
	parts = append(parts, count(s.InFlight)+" in flight")
	if s.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%.1f/s", s.Rate))
	}
	if s.Tokens > 0 {
		parts = append(parts, count(int(s.Tokens))+" tokens")
	}
	parts = append(parts, rounded(s.Elapsed))
	if left := s.Total - s.Done; s.Rate > 0 && left > 0 {
		parts = append(parts, "~"+rounded(time.Duration(float64(left)/s.Rate*float64(time.Second)))+" left")
	}
	if text != "" {
		parts = append(parts, text)
	}
	return strings.Join(parts, "  ")
}

// recordText is a question and what became of it, for people.
func recordText(s *streams, row *batch.Row, r *results.Result) string {
	var b strings.Builder
	label := row.CustomID
	if row.Chat.ConversationKey != "" {
		label += " (" + row.Chat.ConversationKey + ")"
	}
	fmt.Fprintf(&b, "%s %s\n", s.color(true, dim, oneLine(label)), s.color(true, bold, short(row.Question(), 500)))
	text := printable(r.Answer)
	if r.Status != results.Completed {
		text = s.color(true, red, printable(string(r.Status)))
		if r.Error != nil {
			text += " " + printable(failureText(r.Error))
		}
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}
