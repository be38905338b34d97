package filerun

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/journal"
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
}

// errRowEnded keeps a worker from asking once more what it finds in the queue although it has been answered: the machine
// was asleep, say, so the task was put back as that of a dead worker while its handler ended it. Its result has left
// Redis for the journal by then, and only the journal knows.
var errRowEnded = errors.New("the row has its record already")

// Progress writes down how far a row's chat has come: for the hook of a worker in this process, which must not ask
// when it gets an error. It waits until Run has its journal. Tasks of others are none of its business. Safe for
// concurrent use.
func (j *Job) Progress(ctx context.Context, p Progress) error {
	r, err := j.gate.wait(ctx)
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
		Cozeq: journal.EntryChat, Row: row, BotID: p.BotID,
		ConversationID: p.ConversationID, ConversationKey: p.ConversationKey, ChatID: p.ChatID,
	}
	if !p.AskedAt.IsZero() {
		c.AskedAt = results.At(p.AskedAt)
	}
	r.stepped(p)
	err = r.journal.Note(c)
	if journal.IsWriteError(err) {
		// The worker tries again and again, and no row would ever end.
		r.cancel(err)
	}
	return err
}

// NoteLimits writes down which rates were learnt, in calls a second by credential, for the next run of the journal: see
// OnLimits. It waits until Run has its journal. Safe for concurrent use.
func (j *Job) NoteLimits(ctx context.Context, learnt map[string]float64) error {
	r, err := j.gate.wait(ctx)
	if err != nil {
		return err
	}
	return r.journal.NoteLimits(learnt)
}

// gate keeps the callers of Progress waiting until there is a journal: a worker that serves a shared Redis may take up
// a row of an earlier run before this one has come so far.
type gate struct {
	once  sync.Once
	shown chan struct{} // closed by show

	mu  sync.Mutex
	run *run
}

func (g *gate) init() { g.once.Do(func() { g.shown = make(chan struct{}) }) }

func (g *gate) show(r *run) {
	g.init()
	g.mu.Lock()
	g.run = r
	g.mu.Unlock()
	close(g.shown)
}

func (g *gate) peek() *run {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.run
}

// wait returns the run once it has its journal.
func (g *gate) wait(ctx context.Context) (*run, error) {
	g.init()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-g.shown:
	}
	r := g.peek()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-r.opened:
	}
	if r.openErr != nil {
		return nil, fmt.Errorf("write down what is asked: %w", r.openErr)
	}
	return r, nil
}
