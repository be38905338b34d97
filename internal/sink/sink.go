// Package sink gives records to a command of the user's: one long-lived process that gets a line of JSON for each on its
// stdin, and acknowledges each by a line on its stdout, in their order. What the line says does not matter.
//
// A record is handed over at least once. Those that a process has not acknowledged when it ends are sent again, to the next one,
// which is started after a wait that grows. At most Window are not acknowledged at a time; more wait.
//
//	the command dies before it has taken a record	it is sent to the next process
//	it dies between the record and the line	it is sent again: the command has it twice
//	this process dies before it has noted the line	the caller sends it again: see [Config.Acknowledged]
package sink

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/command"
)

// Window is how many records may be unacknowledged.
const Window = 100

// tries is how many processes in a row may end without having acknowledged anything: half a minute's, by pace.
const tries = 8

var pace = backoff.Policy{First: 200 * time.Millisecond, Most: 10 * time.Second, Jitter: 0.5}

// Record is a record with the name that the caller knows it by.
type Record struct {
	Row  int
	Line []byte // JSON, without a line end
}

// Config is a command.
type Config struct {
	Command command.Command
	Stderr  io.Writer // of the command

	Pace backoff.Policy // waits before a process that follows one; zero: from 200 ms to 10 s

	// Acknowledged gets each record that the command has acknowledged, one at a time. Its error ends the sink.
	Acknowledged func(row int) error
}

// Error says that the command does not take records.
type Error struct {
	Command string
	Open    int // records that it has not acknowledged
	Err     error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s has not acknowledged %d records: %v", e.Command, e.Open, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Sink hands records over. Its methods are for one goroutine.
type Sink struct {
	config  Config
	records chan Record
	done    chan struct{}
	err     error // once done is closed
	stop    context.CancelFunc
}

// New begins: the command is started with the first record.
func New(ctx context.Context, c Config) *Sink {
	ctx, stop := context.WithCancel(ctx)
	if c.Pace == (backoff.Policy{}) {
		c.Pace = pace
	}
	s := &Sink{config: c, records: make(chan Record), done: make(chan struct{}), stop: stop}
	go func() {
		defer close(s.done)
		s.err = s.run(ctx)
	}()
	return s
}

// Send hands a record over, or waits until it can. An error is the sink's end, and Close returns it, too.
func (s *Sink) Send(ctx context.Context, r Record) error {
	select {
	case s.records <- r:
		return nil
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close waits until all records are acknowledged and the command has ended. The error is an *Error, that of Acknowledged, or the
// context's.
func (s *Sink) Close() error {
	close(s.records)
	<-s.done
	s.stop()
	return s.err
}

// Abort ends the command at once. What it has not acknowledged stays so.
func (s *Sink) Abort() {
	s.stop()
	<-s.done
}

// run starts processes until all records are acknowledged.
func (s *Sink) run(ctx context.Context) error {
	var open []Record // handed over and not acknowledged, in order
	more := true
	for waits, failed := s.config.Pace.Start(), 0; more || len(open) > 0; {
		if len(open) == 0 { // a process only for a record
			select {
			case r, ok := <-s.records:
				if !ok {
					return nil
				}
				open = append(open, r)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		p := &process{sink: s, open: open, more: more}
		err := p.run(ctx)
		open, more = p.open, p.more
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case p.fault != nil:
			return p.fault
		case !more && len(open) == 0:
			return nil
		case p.acknowledged > 0:
			waits, failed = s.config.Pace.Start(), 0
		}
		if failed++; failed == tries {
			if err == nil {
				err = errors.New("it has ended")
			}
			return &Error{Command: s.config.Command.String(), Open: len(open), Err: err}
		}
		if err := waits.Sleep(ctx, 0); err != nil {
			return err
		}
	}
	return nil
}

type process struct {
	sink         *Sink
	open         []Record
	more         bool // the caller may have more
	acknowledged int
	fault        error // of Acknowledged
}

func (p *process) run(ctx context.Context) error {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	c := p.sink.config
	cmd := c.Command.Make(ctx)
	cmd.Stderr, cmd.WaitDelay = c.Stderr, time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines, writes := make(chan struct{}), make(chan Record, Window)
	var pipes sync.WaitGroup
	pipes.Go(func() { // one that reads nothing must not keep the lines from being read
		defer in.Close()
		for r := range writes {
			if _, err := in.Write(append(r.Line[:len(r.Line):len(r.Line)], '\n')); err != nil {
				break
			}
		}
		for range writes { // the process has closed its stdin: its end is told by stdout
		}
	})
	pipes.Go(func() {
		defer close(lines)
		for r := bufio.NewReader(out); ; {
			if _, err := r.ReadSlice('\n'); err == nil {
				lines <- struct{}{}
			} else if !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
		}
	})
	p.exchange(ctx, writes, lines)
	close(writes)
	if p.fault != nil || ctx.Err() != nil {
		kill()
	}
	for range lines {
	}
	pipes.Wait()
	return cmd.Wait()
}

// exchange hands records over and takes lines, until the process closes its stdout or nothing is left to do.
func (p *process) exchange(ctx context.Context, writes chan<- Record, lines <-chan struct{}) {
	for _, r := range p.open {
		writes <- r // as many fit
	}
	for p.more || len(p.open) > 0 {
		next := p.sink.records
		if !p.more || len(p.open) == Window {
			next = nil
		}
		select {
		case r, ok := <-next:
			if p.more = ok; ok {
				p.open = append(p.open, r)
				writes <- r
			}
		case _, ok := <-lines:
			if !ok {
				return
			}
			if len(p.open) == 0 {
				continue // a line for no record
			}
			if p.fault = p.sink.config.Acknowledged(p.open[0].Row); p.fault != nil {
				return
			}
			p.open = p.open[1:]
			p.acknowledged++
		case <-ctx.Done():
			return
		}
	}
}
