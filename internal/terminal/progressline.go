package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressLine is stderr while a command works through something: on a terminal a
// line that changes, in a pipe a new line now and then. Others write through it, so
// that their lines and this one do not mix.
type progressLine struct {
	streams *Streams
	what    string // is being done: "submitting"

	mu    sync.Mutex
	began time.Time
	shown time.Time // last
	first int       // done at the first call
	line  string    // what stands on the terminal's last line
}

func NewProgressLine(s *Streams, what string) *progressLine {
	now := time.Now()
	return &progressLine{streams: s, what: what, began: now, shown: now, first: -1}
}

// Write prints lines above the progress.
func (p *progressLine) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	n, err := p.streams.Err.Write(b)
	io.WriteString(p.streams.Err, p.line)
	return n, err
}

// Progress shows how far the work is. Work that ends soon is not shown at all.
func (p *progressLine) Progress(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.first < 0 {
		p.first, p.began = done, now
	}
	live := p.streams.ErrTTY && !p.streams.Dumb()
	every := PipeEvery
	if live {
		every = TerminalEvery
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	text := fmt.Sprintf("%s %s/%s", p.what, Count(done), Count(total))
	if rate := float64(done-p.first) / max(now.Sub(p.began).Seconds(), 0.1); rate > 0 {
		text += fmt.Sprintf("  %s/s  ~%s left", Count(int(rate)), Rounded(time.Duration(float64(total-done)/rate*float64(time.Second))))
	}
	if !live {
		fmt.Fprintln(p.streams.Err, "cozeq: "+text)
		return
	}
	p.erase()
	width, _ := p.streams.TerminalSize()
	p.line = Cut(text, width-1)
	io.WriteString(p.streams.Err, p.line)
}

func (p *progressLine) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.line = ""
}

func (p *progressLine) erase() {
	if p.line != "" {
		io.WriteString(p.streams.Err, "\r\x1b[K")
	}
}

// How often progress is shown: what an eye can follow, and what a log can bear.
const (
	TerminalEvery = 150 * time.Millisecond
	PipeEvery     = 10 * time.Second
)
