package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"time"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// A live input is a pipe whose rows are asked as they come: the writer at its other end may wait for an answer before it
// writes the next question. So it is read once, nothing is known of it beforehand but its beginning, and a row that is
// wrong gets a record like any other, of class invalid.
type live struct {
	pieces chan []byte // what was read, in order; closed at the end
	err    error       // of the last read, once pieces is closed; nil: the end of the file
	head   []byte      // what was there when it was opened
	rest   []byte      // of the piece that is being read
	idle   func() error
}

const (
	livePiece = 64 << 10
	liveHead  = 1 << 20

	// livePause is how long the pipe is silent before its beginning is taken to be all that is there for now: a file that
	// is piped in comes in one go, and its encoding is told by more than its first line.
	livePause = 50 * time.Millisecond
)

// isPipe reports whether r may still be written to.
func isPipe(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return true
	}
	info, err := f.Stat()
	return err == nil && !info.Mode().IsRegular()
}

// openLive starts to read r, and waits for its first line.
func openLive(r io.Reader) *live {
	l := &live{pieces: make(chan []byte, 1)}
	go func() { // a read cannot be interrupted: it ends with the pipe or the process
		defer close(l.pieces)
		for {
			piece := make([]byte, livePiece)
			n, err := r.Read(piece)
			if n > 0 {
				l.pieces <- piece[:n]
			}
			if err != nil {
				if err != io.EOF {
					l.err = err
				}
				return
			}
		}
	}()
	for len(l.head) < liveHead {
		var pause <-chan time.Time // without a whole line there is nothing to begin with
		if bytes.IndexByte(l.head, '\n') >= 0 {
			pause = time.After(livePause)
		}
		select {
		case piece, more := <-l.pieces:
			if !more {
				return l
			}
			l.head = append(l.head, piece...)
			continue
		case <-pause:
		}
		break
	}
	return l
}

// content reads head and what follows, once. Before it waits it calls idle. It ends with ctx.
func (l *live) content(ctx context.Context, idle func() error) io.Reader {
	l.idle = idle
	return io.MultiReader(bytes.NewReader(l.head), liveReader{ctx, l})
}

type liveReader struct {
	ctx context.Context
	*live
}

func (r liveReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		var more bool
		select {
		case r.rest, more = <-r.pieces:
		default:
			if err := r.idle(); err != nil {
				return 0, err
			}
			select {
			case r.rest, more = <-r.pieces:
			case <-r.ctx.Done():
				return 0, context.Cause(r.ctx)
			}
		}
		if !more {
			if r.err != nil {
				return 0, r.err
			}
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// findLiveStandIn finds what is taken for the question, by the first row: no Check does.
func (in *Input) findLiveStandIn() {
	for row, err := range in.Rows() {
		if err == nil && row.standIn != "" {
			in.found.add("%q is taken for the question", row.standIn)
		}
		return
	}
}

// errNotAllRead is the state of a run whose live input has not ended. What has cut it short says more.
var errNotAllRead = errors.New("the input was not read to its end")

// Live reports whether the input's rows are asked as they come.
func (in *Input) Live() bool { return in.live != nil }

// liveRows hands on the rows of a live input as they come.
func (d *dueRows) liveRows(ctx context.Context) error {
	seed := maphash.MakeSeed()
	first := make(map[uint64]int) // by the hash of a custom_id, as in Check
	n, wrongLine := 0, 0
	for row, err := range d.Input.rows(ctx, d.Input.live.content(ctx, d.idle)) {
		problem, wrong := errors.AsType[*Problem](err)
		switch {
		case wrong && problem.Line == wrongLine && n > 0:
			continue // of a row that has its record
		case wrong && n == 0 && d.Input.format.table() && problem.Line <= 1: // of its header
			return &InvalidInput{Problems: []*Problem{problem}, Total: 1}
		case wrong:
			wrongLine = problem.Line
			row = &Row{N: n + 1, Line: problem.Line, CustomID: problem.customID, Chat: new(tasks.Chat), wrong: problem.What}
		case err != nil:
			return err
		default:
			h := maphash.String(seed, row.CustomID)
			if before := first[h]; before > 0 {
				row.wrong = fmt.Sprintf("custom_id %q is repeated: row %d has it too", row.CustomID, before)
			} else {
				first[h] = row.N
			}
		}
		n = row.N
		if row.CustomID == "" {
			row.CustomID = fmt.Sprint(n)
		}
		d.grow(n)
		more := true
		if row.wrong != "" {
			err = d.take(row)
		} else {
			more, err = d.consider(ctx, row)
		}
		if !more || err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if n == 0 {
		return &InvalidInput{Problems: []*Problem{d.Input.problem(0, "there is no question in it")}, Total: 1}
	}
	return d.serveTwins(ctx, 0)
}

// grow makes room for so many rows.
func (r *run) grow(rows int) {
	r.journal.mu.Lock()
	for len(r.journal.records) < rows {
		r.journal.records = append(r.journal.records, 0)
	}
	r.journal.mu.Unlock()
	r.setTotal(rows)
}

// notInOrder is the record of a row of a live input that cannot be asked.
func notInOrder(id string, row *Row) *results.Result {
	return &results.Result{
		ID: id, Status: results.Failed, CompletedAt: results.At(time.Now()),
		Error: &results.Failure{Class: "invalid", Message: fmt.Sprintf("line %d: %s", row.Line, row.wrong), Hint: "Correct the line and send it again."},
	}
}
