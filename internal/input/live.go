package input

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/cozeq/cozeq/tasks"
)

// live is a pipe whose rows are asked as they are written: its writer may wait for an answer before it writes the next
// question. So it is read once, nothing but its beginning is known beforehand, and a wrong row gets a record like any
// other, of class invalid.
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

	// livePause is how long the pipe must be silent before its beginning is used for detection: a file that is piped in
	// arrives at once, and more than its first line helps to detect its encoding.
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

// openLive starts reading r and waits for its first line.
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

// findLiveStandIn notes what is used as the question, by the first row: there is no Check.
func (in *Input) findLiveStandIn() {
	for row, err := range in.Rows() {
		if err == nil && row.standIn != "" {
			in.found.add("%q is taken for the question", row.standIn)
		}
		return
	}
}

// Live reports whether the input's rows are asked as they are written.
func (in *Input) Live() bool { return in.file.live != nil }

// LiveRows yields the rows of a live input as they are written, once. Before it waits it calls idle. A wrong row is yielded
// like any other and has Wrong set. An error ends the sequence.
func (in *Input) LiveRows(ctx context.Context, idle func() error) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		ids := newSeenIDs()
		n, wrongLine := 0, 0
		for row, err := range in.reader.rows(ctx, in.file.live.content(ctx, idle)) {
			problem, wrong := errors.AsType[*Problem](err)
			switch {
			case wrong && problem.Line == wrongLine && n > 0:
				continue // of a row that has its record
			case wrong && n == 0 && in.reader.format.table() && problem.Line <= 1: // of its header
				yield(nil, &InvalidInput{Problems: []*Problem{problem}, Total: 1})
				return
			case wrong:
				wrongLine = problem.Line
				row = &Row{N: n + 1, Line: problem.Line, CustomID: problem.customID, Chat: new(tasks.Chat), Wrong: problem.What}
			case err != nil:
				yield(nil, err)
				return
			default:
				row.Wrong = ids.add(row)
			}
			n = row.N
			if row.CustomID == "" {
				row.CustomID = fmt.Sprint(n)
			}
			if !yield(row, nil) {
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			yield(nil, context.Cause(ctx))
		case n == 0:
			yield(nil, &InvalidInput{Problems: []*Problem{in.file.problem(0, "there is no question in it")}, Total: 1})
		}
	}
}
