package filerun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Progress is what a worker knows of a chat: that it is about to be asked (no ChatID), or that it runs. Its fields are
// those of the worker's own type, in that order, so that one converts to the other.
type Progress struct {
	ID              string // of the task
	BotID           string
	ConversationKey string
	ConversationID  string
	ChatID          string
	AskedAt         time.Time
	Tools           json.RawMessage
}

// errRowEnded keeps a worker from asking a row that has its record: if the machine was asleep, the task may have been put
// back as that of a dead worker while its handler ended it. Its result has left Redis for the journal by then, so only the
// journal knows.
var errRowEnded = errors.New("the row has its record already")

// Progress writes down how far a row's chat has come. It is the hook of a worker in this process, which must not ask when
// it gets an error. It waits until Run has its journal, and ignores tasks of others. It may be called concurrently.
func (j *Job) Progress(ctx context.Context, p Progress) error {
	r, err := j.handle.wait(ctx)
	if err != nil {
		return err
	}
	run, row, _, ok := batches.ParseTaskID(p.ID)
	if !ok || run != r.journal.RunID() || row > r.rows() || p.ID != r.journal.TaskID(row) {
		return nil
	}
	if p.ChatID == "" && r.journal.Ended(row) {
		return errRowEnded
	}
	c := journal.Chat{
		Row: row, BotID: p.BotID, ConversationID: p.ConversationID, ConversationKey: p.ConversationKey, ChatID: p.ChatID, Tools: p.Tools,
	}
	if !p.AskedAt.IsZero() {
		c.AskedAt = results.At(p.AskedAt)
	}
	r.window.update(p.ID, func(o *openRow) { o.wait, o.askedAt, o.chat = progress.NoWait, p.AskedAt, p.ChatID != "" })
	err = r.journal.Note(c)
	if journal.IsWriteError(err) {
		// The worker would try again and again, and no row would ever end.
		r.cancel(err)
	}
	return err
}

// Stepped notes that an attempt has ended without ending its row. It is the hook of a worker in this process, and ignores
// tasks of others. It may be called concurrently.
func (j *Job) Stepped(id string, why progress.Wait) {
	if r := j.handle.get(); r != nil {
		r.window.update(id, func(o *openRow) { o.wait, o.askedAt, o.chat = why, time.Time{}, false })
	}
}

// NoteLimits writes down the rates that were learnt, in calls a second by credential, for the next run of the journal: see
// OnLimits. It waits until Run has its journal. It may be called concurrently.
func (j *Job) NoteLimits(ctx context.Context, learnt map[string]float64) error {
	r, err := j.handle.wait(ctx)
	if err != nil {
		return err
	}
	return r.journal.NoteLimits(learnt)
}

// handle gives the run to callers in other goroutines. A worker that serves a shared Redis may take up a row of an earlier
// run before this one has opened its journal; its calls wait.
type handle struct {
	init   sync.Once
	once   sync.Once
	opened chan struct{} // closed by ready
	err    error         // why there is no journal; set before opened is closed

	mu  sync.Mutex
	run *run
}

func (h *handle) open() chan struct{} {
	h.init.Do(func() { h.opened = make(chan struct{}) })
	return h.opened
}

func (h *handle) set(r *run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.run = r
}

// get returns the run, nil before Run was called.
func (h *handle) get() *run {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.run
}

// ready ends the waiting, with an error if there is no journal. Only the first call counts.
func (h *handle) ready(err error) {
	h.once.Do(func() {
		h.err = err
		close(h.open())
	})
}

// wait returns the run once it has its journal.
func (h *handle) wait(ctx context.Context) (*run, error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-h.open():
	}
	if h.err != nil {
		return nil, fmt.Errorf("write down what is asked: %w", h.err)
	}
	return h.get(), nil
}
