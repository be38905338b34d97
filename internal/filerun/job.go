package filerun

import (
	"io"
	"time"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/sink"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// defaultWindow is how many rows are in Redis at a time.
const defaultWindow = 10_000

// Job is one run over one input. Set the fields, then call Run once.
type Job struct {
	Input *input.Input

	// Output is the file to write. Empty: each record goes to Stdout as a line of JSON when its row ends, and there is no
	// journal to resume from. The rows of a live input (see input.Options.Live) are asked as they arrive; it cannot have
	// an Output, a Sample or Batches.
	Output string
	Stdout io.Writer // nil: records go to OnRecord only

	Tasks         *tasks.Client
	Results       *results.Store
	Conversations *conversation.Names

	// Batches of a shared Redis, where the run is listed as a batch: its results leave Redis once they are in the journal,
	// and canceling the batch ends the run. nil: the Redis is not shared.
	Batches *runbatch.Client

	// Options of all tasks. The job sets ID, ConversationID, ChatID and AskedAt.
	Options tasks.Options

	// Window is the most rows that are in Redis at a time; 0 = 10,000.
	Window int

	// SmallWindow is the window until a row with a conversation is seen. The embedded store gets slower with each row in
	// it, while turns, which wait for each other, need a large window to keep all chats busy. 0 = Window.
	SmallWindow int

	// MaxQuestions and MaxTokens bound what is asked for Output, over all its runs; 0 = no bound. See BudgetError.
	MaxQuestions int
	MaxTokens    int64

	// Sample asks only so many questions, spread evenly over the input. Run ends with ErrSampled if others are left.
	// 0 = all. Of a conversation only the first turn can be in the sample.
	Sample int

	// Uploader uploads the files of rows. The run alone uses it. nil: a row with a file fails.
	Uploader *attachment.Uploader

	// OnResult is a command that gets each record of the journal, at least once: see package sink. OUTPUT is complete when it has
	// acknowledged all. It needs an Output. nil: there is none.
	OnResult *sink.Config

	// Cache answers questions that were answered before. nil: there is none.
	Cache *answercache.Cache

	RetryFailed bool // ask the rows again that got no answer
	Force       bool // start over

	// Forget deletes each result from Redis once it is in the journal, so that Redis holds no more than the window. It is
	// for a Redis that dies with the process: elsewhere a task that is delivered a second time, by a worker that was killed
	// between its end and the queue's, would find no record and be asked again.
	Forget bool

	// Drain stops the worker of this process and returns when its handlers are done. Run calls it once, when it is cut
	// short. nil: the workers are in other processes.
	Drain func()

	// OnSnapshot gets the progress, at most every 100 ms, and at the end. It is never called concurrently.
	OnSnapshot func(progress.Snapshot)

	// OnRecord gets each row that ends in this run. It is never called concurrently.
	OnRecord func(*input.Row, *results.Result)

	// OnLimits gets the rates that earlier runs of the journal have learnt, before anything is asked. See NoteLimits.
	OnLimits func(map[string]float64)

	handle handle
}

// Snapshot is how far the run has come. It may be called at any time, concurrently too.
func (j *Job) Snapshot() progress.Snapshot {
	r := j.handle.get()
	if r == nil {
		return progress.Snapshot{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshot(time.Now())
}

// OpenRows lists the rows that are in the queue or being asked, in no order. It may be called at any time, concurrently
// too.
func (j *Job) OpenRows() []progress.OpenRow {
	r := j.handle.get()
	if r == nil {
		return nil
	}
	rows := r.window.all()
	all := make([]progress.OpenRow, len(rows))
	for i, o := range rows {
		all[i] = progress.OpenRow{ID: o.id, Lane: o.row.Chat.Lane()}
	}
	return all
}
