package filerun

import (
	"context"
	"errors"
	"slices"

	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// On a shared Redis workers go on answering after a run has died. Their results wait there for the run that resumes, as
// long as the batch does. For a row without a record in the journal there are three sources:
//
//	the result in Redis   decides, if it is there
//	the batch's tally     knows whether the row has ended, or was begun
//	the journal           knows up to which row rows were enqueued, if the batch is gone, too
//
// A row that has ended and whose result is gone was answered and billed. Asking it again would bill it twice, so it is
// reported as failed, and --retry-failed asks it. A row that was begun, or that only the journal knows, may have been
// asked: it is asked again, and its record says possible_duplicate.
//
// The batch's states are read before it is registered again (see runbatch.Client.Register), which resets those of the open
// rows. A worker that ends a row between the two writes its record first, and Enqueue finds that.

// lostRow is a row that has ended and whose result is gone.
type lostRow struct {
	status results.Status // as the batch has it
	usage  results.Usage  // its share of what was billed for all of these
}

// lookForResults finds out what became of rows that earlier runs have enqueued and that have no record, and sets it in known.
func (r *run) lookForResults(ctx context.Context, known *runbatch.Rows) error {
	state, err := r.shared.batches.State(ctx, r.shared.id)
	if err != nil && !errors.Is(err, batches.ErrNotFound) {
		return err
	}
	var rows []int
	for row := 1; row <= r.journal.FedTo(); row++ {
		// A row that is asked once more is another task.
		if !r.journal.Ended(row) && (state == nil || state.Attempt(row) == r.journal.Ask(row)) {
			rows = append(rows, row)
		}
	}
	var billed results.Usage // for results that are in Redis
	for chunk := range slices.Chunk(rows, feedChunk) {
		ids := make([]string, len(chunk))
		for i, row := range chunk {
			ids[i] = r.journal.TaskID(row)
		}
		found, err := r.job.Results.GetMany(ctx, ids)
		if err != nil {
			return err
		}
		for i, row := range chunk {
			m, res := markOf(row, r.journal.Ask(row), found[i]), found[i]
			m.Usage = results.Usage{}
			if res == nil {
				m.Status = results.Running
				if state != nil {
					m.Status = state.Status(row)
				}
			}
			switch {
			case res != nil && res.Status.Terminal():
				billed = billed.Plus(res.Billed())
			case res != nil:
				m.Class, m.Code = "", 0
			case m.Status.Terminal():
				if m.Status == results.Completed {
					m.Status = results.Failed
				}
				l := &lostRow{status: m.Status}
				r.shared.lost[row] = l
				m.Class = l.class()
			case m.Status != results.Queued:
				r.journal.Suspect(row)
			}
			// In a new batch a row that has ended counts when it is collected, with its tokens.
			if state != nil || !m.Status.Terminal() {
				known.Set(m)
			}
		}
	}
	if len(r.shared.lost) > 0 {
		r.shareUsage(state.Usage, billed)
	}
	return nil
}

// shareUsage gives the lost rows, in equal parts, what the batch was billed and neither the journal nor a result in Redis
// accounts for. So the sums are right, in this run and in each that reads its OUTPUT.
func (r *run) shareUsage(billed, found results.Usage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, n := &r.tally, int64(len(r.shared.lost))
	left := results.Usage{
		TokenCount:  max(0, billed.TokenCount-t.Tokens-found.TokenCount),
		OutputCount: max(0, billed.OutputCount-t.TokensOut-found.OutputCount),
		InputCount:  max(0, billed.InputCount-t.TokensIn-found.InputCount),
	}
	for _, l := range r.shared.lost {
		l.usage = results.Usage{TokenCount: left.TokenCount / n, OutputCount: left.OutputCount / n, InputCount: left.InputCount / n}
		left.TokenCount -= l.usage.TokenCount
		left.OutputCount -= l.usage.OutputCount
		left.InputCount -= l.usage.InputCount
		n--
	}
}

func (l *lostRow) class() string {
	if l.status == results.Failed {
		return classTransient
	}
	return string(l.status)
}

func (l *lostRow) record(o *openRow) *results.Result {
	res := ended(o, l.status, results.Failure{
		Class:   l.class(),
		Message: "the question has ended, and its result has gone from Redis before a run took it",
		Hint:    "see that Redis keeps its keys (maxmemory-policy noeviction); --retry-failed asks it again and marks it possible_duplicate",
	})
	res.PossibleDuplicate = true
	if l.usage != (results.Usage{}) {
		res.Usage = &l.usage
	}
	return res
}
