package filerun

import (
	"bytes"
	"context"
	"sync"

	"github.com/cozeq/cozeq/internal/sink"
)

// handover gives each record that is in the journal to the command of Job.OnResult. It reads them from there, so a command that
// is slow holds up nothing but the end. The end waits for it: the journal, which knows what was acknowledged, goes with OUTPUT's
// completion.
//
//	the run dies after a record, before its acknowledgment is written	the same run again sends it once more
//	it dies after that			it is not sent again
type handover struct {
	run  *run
	sink *sink.Sink
	done chan struct{} // all that was added is with the sink, or it has ended
	err  error         // why not all is; once done is closed

	mu     sync.Mutex
	rows   []int // to be sent, in the order in which they ended
	ended  bool  // none is added any more
	signal chan struct{}
}

// startHandover begins with the records that earlier runs have left. It is nil where there is no command.
func (r *run) startHandover(ctx context.Context) *handover {
	if r.job.OnResult == nil {
		return nil
	}
	c := *r.job.OnResult
	c.Acknowledged = r.journal.Take
	h := &handover{run: r, sink: sink.New(ctx, c), done: make(chan struct{}), rows: r.journal.Untaken(), signal: make(chan struct{}, 1)}
	go func() {
		defer close(h.done)
		h.send(ctx)
	}()
	return h
}

// send ends when all is sent, or cannot be.
func (h *handover) send(ctx context.Context) {
	records := h.run.journal.Reader()
	for {
		row, ok := h.next(ctx)
		if !ok {
			return
		}
		line, err := records.Line(row)
		if err == nil {
			err = h.sink.Send(ctx, sink.Record{Row: row, Line: bytes.TrimSuffix(line, []byte("\n"))})
		}
		if err != nil {
			h.err = err
			return
		}
	}
}

// next waits for a row; ok is false if none comes any more.
func (h *handover) next(ctx context.Context) (row int, ok bool) {
	for {
		h.mu.Lock()
		if len(h.rows) > 0 {
			row, h.rows = h.rows[0], h.rows[1:]
			h.mu.Unlock()
			return row, true
		}
		ended := h.ended
		h.mu.Unlock()
		if ended {
			return 0, false
		}
		select {
		case <-h.signal:
		case <-ctx.Done():
			return 0, false
		}
	}
}

func (h *handover) wake() {
	select {
	case h.signal <- struct{}{}:
	default:
	}
}

// add has a row's record sent.
func (h *handover) add(row int) {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.rows = append(h.rows, row)
	h.mu.Unlock()
	h.wake()
}

// finish waits until all is acknowledged.
func (h *handover) finish() error {
	if h == nil {
		return nil
	}
	h.end()
	<-h.done
	if h.err != nil {
		h.sink.Abort()
		return h.err
	}
	return h.sink.Close()
}

// abort ends the command. It does nothing after finish.
func (h *handover) abort() {
	if h == nil {
		return
	}
	h.sink.Abort()
	h.end()
	<-h.done
}

func (h *handover) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.wake()
}
