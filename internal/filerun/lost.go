package filerun

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// On a shared Redis a run may be gone while the workers answer its questions. Their results wait there for the run that
// goes on, as long as the batch does. Then there are three witnesses for a row without a record in the journal:
//
//	the result in Redis   decides, where it is there
//	the batch's tally     knows whether the row has ended, or was begun
//	the journal           knows how far rows were enqueued, where the batch is gone as well
//
// A row whose result is gone and that has ended was answered and billed. To ask it again would bill it twice, so it is
// reported as failed, and --retry-failed asks it. A row that was begun, or of which only the journal knows, may have been
// asked: it is asked, and its record says possible_duplicate.
//
// The batch's states are read before they are registered anew (see batches.Client.Register), which takes the letters of
// the rows that are open. A worker that ends a row between the two writes its record first, and that is found by Enqueue.

// lost is a row whose result is gone although it has ended.
type lost struct {
	status results.Status // as the batch has it
	usage  results.Usage  // its share of what was billed for all of these
}

// lookForResults finds out what became of rows that earlier runs have enqueued and that have no record, and tells known.
func (r *run) lookForResults(ctx context.Context, known *batches.RunRows) error {
	state, err := r.Batches.RunState(ctx, r.journal.RunID())
	if err != nil && !errors.Is(err, batches.ErrNotFound) {
		return err
	}
	var rows []int
	for row := 1; row <= r.journal.FedTo(); row++ {
		// A row that is to be asked once more is another task.
		if !r.journal.Ended(row) && (state == nil || state.Attempt(row) == r.journal.Ask(row)) {
			rows = append(rows, row)
		}
	}
	var there results.Usage // billed for results that are in Redis
	for chunk := range slices.Chunk(rows, feedChunk) {
		ids := make([]string, len(chunk))
		for i, row := range chunk {
			ids[i] = r.journal.TaskID(row)
		}
		all, err := r.Results.GetMany(ctx, ids)
		if err != nil {
			return err
		}
		for i, row := range chunk {
			m := tally.Mark{Row: row, Attempt: r.journal.Ask(row), Status: results.Running}
			if state != nil {
				m.Status = state.Status(row)
			}
			switch res := all[i]; {
			case res != nil && res.Status.Terminal():
				m.Status = res.Status
				if res.Error != nil {
					m.Class, m.Code = res.Error.Class, res.Error.Code
				}
				there = there.Plus(res.Billed())
			case res != nil:
				m.Status = res.Status
			case m.Status.Terminal():
				l := &lost{status: m.Status}
				if m.Status == results.Completed {
					l.status, m.Status = results.Failed, results.Failed
				}
				r.lost[row] = l
				m.Class = l.class()
			case m.Status != results.Queued:
				r.journal.Suspect(row)
			}
			// In a batch that is made anew what has ended counts when it is collected, with its tokens.
			if state != nil || !m.Status.Terminal() {
				known.Set(m)
			}
		}
	}
	if len(r.lost) > 0 {
		r.shareUsage(state.Usage, there)
	}
	return nil
}

// shareUsage gives the lost rows, in equal parts, what the batch was billed and neither the journal nor a result in Redis
// accounts for. So the sums are right, of this run and of each that reads its OUTPUT.
func (r *run) shareUsage(billed, there results.Usage) {
	n := int64(len(r.lost))
	share := func(billed, known int64) func() int64 {
		left, rows := max(0, billed-known), n
		return func() int64 {
			part := left / rows
			left, rows = left-part, rows-1
			return part
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	tokens := share(billed.TokenCount, r.tally.Tokens+there.TokenCount)
	out := share(billed.OutputCount, r.tally.TokensOut+there.OutputCount)
	in := share(billed.InputCount, r.tally.TokensIn+there.InputCount)
	for _, l := range r.lost {
		l.usage = results.Usage{TokenCount: tokens(), OutputCount: out(), InputCount: in()}
	}
}

func (l *lost) class() string {
	if l.status == results.Failed {
		return "transient"
	}
	return string(l.status)
}

// record is that of a row whose result is gone.
func (l *lost) record(id string, row *input.Row) *results.Result {
	res := &results.Result{
		ID: id, Status: l.status, PossibleDuplicate: true,
		Error: &results.Failure{
			Class:   l.class(),
			Message: "the question has ended, and its result has gone from Redis before a run took it",
			Hint:    "see that Redis keeps its keys (maxmemory-policy noeviction); --retry-failed asks it again and marks it possible_duplicate",
		},
		BotID: row.Chat.BotID, ConversationID: row.Chat.ConversationID, ConversationKey: row.Chat.ConversationKey,
		CompletedAt: results.At(time.Now()),
	}
	if l.usage != (results.Usage{}) {
		res.Usage = &l.usage
	}
	return res
}
