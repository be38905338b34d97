package filerun

import (
	"context"
	"io"
	"time"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// DefaultWindow is how many rows are in Redis at a time.
const DefaultWindow = 10_000

// Job is one run over one input. Set the fields, then call Run once.
type Job struct {
	Input *input.Input

	// Output is the file to write, .jsonl, .csv or .tsv. Empty: each record goes to Stdout as a line of JSON when its
	// row has ended; there is no journal then, and nothing to go on with. The rows of a live input (InputOptions.Live) are
	// asked as they come; it cannot have an Output, a Sample or Batches.
	Output string
	Stdout io.Writer // nil: records go to OnRecord only

	Tasks         *tasks.Client
	Results       *results.Store
	Conversations *conversation.Names

	// Batches of a shared Redis: the run stands there as a batch under its own name, its results leave Redis once they
	// are in the journal, and who cancels the batch ends the run. nil: nobody else uses the Redis, or shall know.
	Batches *batches.Client

	// Options of all tasks. ID, ConversationID, ChatID and AskedAt are set by the job.
	Options tasks.Options

	// Window is the most rows that are in Redis at a time; 0 = DefaultWindow.
	Window int

	// SmallWindow is the window until a row with a conversation is seen. The embedded store gets slower with each row in
	// it, while turns, which wait for each other, need a large window to have enough to ask at a time. 0 = Window.
	SmallWindow int

	// MaxQuestions and MaxTokens bound what is asked for Output, over all its runs; 0 = no bound. See BudgetError.
	MaxQuestions int
	MaxTokens    int64

	// Sample asks only so many questions, spread evenly over the input, and Run ends with ErrSampled if others are
	// left; 0 = all. Of a conversation only the first turn can be among them.
	Sample int

	// Cache answers questions that were answered before. nil: there is none.
	Cache *answercache.Cache

	RetryFailed bool // ask the rows again that did not get an answer
	Force       bool // start over

	// Forget deletes each result from Redis once it is in the journal, so that Redis holds no more than the window.
	// It is for a Redis that nobody else uses and that dies with the process: a task that is delivered a second time,
	// by a worker that was killed between its end and the queue's, would find no record, and be asked again.
	Forget bool

	// Drain stops the worker of this process and returns when its handlers are done. It is called once, when the run
	// is cut short. nil: the workers are others'.
	Drain func()

	// OnSnapshot is told how far the run has come, at most every 100 ms, and at the end. Never called concurrently.
	OnSnapshot func(progress.Snapshot)

	// OnRecord is told of each row that has ended in this run. Never called concurrently.
	OnRecord func(*input.Row, *results.Result)

	// OnLimits is told which rates an earlier run of the journal had learnt, before anything is asked. See NoteLimits.
	OnLimits func(map[string]float64)

	gate gate
}

// Run asks every question that has no record yet and, when each row has one, writes OUTPUT and removes the journal.
//
// Rows whose records are in the journal are not asked again, and rows whose chats were in flight are enqueued with
// what is known of those, so that the worker looks them up. OUTPUT that is complete already is left alone.
//
// When ctx ends, Run feeds no more, calls Drain, writes down what has ended meanwhile, and returns context.Cause(ctx):
// the same job goes on later. Where all has ended by then the run is complete all the same. A budget that is reached ends
// Run with a *BudgetError, a sample with ErrSampled. An input that is not in order is an *InvalidInput, one that is not the journal's a
// *ChangedError. The Summary is good with any error.
func (j *Job) Run(ctx context.Context) (progress.Summary, error) {
	r := newRun(j)
	j.gate.show(r)
	summary, err := r.do(ctx)
	r.ready(journal.ErrClosed)
	return summary, err
}

// Snapshot is how far the run has come. Safe to call at any time, concurrently too.
func (j *Job) Snapshot() progress.Snapshot {
	r := j.gate.peek()
	if r == nil {
		return progress.Snapshot{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshot(time.Now())
}

// Flights lists the rows that are in the queue or being asked, in no order. Safe to call at any time, concurrently too.
func (j *Job) Flights() []progress.Flight {
	r := j.gate.peek()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]progress.Flight, 0, len(r.flights))
	for id, f := range r.flights {
		all = append(all, progress.Flight{ID: id, Lane: f.row.Chat.Lane()})
	}
	return all
}
