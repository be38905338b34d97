package batchfile

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// failureKind is what failures of one kind have in common.
type failureKind struct {
	class string
	code  int
}

// exampleReads bounds the records that are read to find examples: if many failures are of one kind, those of another may
// be far behind them.
const exampleReads = 10_000

// Failures are the kinds of failures of the batch with their counts, the most frequent first, each with an example: the
// first of its kind in the order of the file, where one is found among the first 10,000 failed rows.
func (d *Detached) Failures(ctx context.Context) ([]progress.FailureCount, error) {
	all := make([]progress.FailureCount, len(d.Batch.Failures))
	open := make(map[failureKind]*progress.FailureCount)
	for i, f := range d.Batch.Failures {
		all[i] = progress.FailureCount{Class: f.Class, Code: f.Code, Count: f.Count}
		open[failureKind{f.Class, f.Code}] = &all[i]
	}
	if len(open) == 0 {
		return all, nil
	}
	states, err := d.Batches.States(ctx, d.Batch.ID)
	if err != nil {
		return nil, err
	}
	ids, rows, read := make([]string, 0, batches.ChunkRows), make([]int, 0, batches.ChunkRows), 0
	for n := 1; n <= states.Len() && read < exampleReads && len(open) > 0; n++ {
		if states.Status(n) == results.Failed {
			ids, rows = append(ids, batches.TaskID(d.Batch.ID, n, states.Attempt(n))), append(rows, n)
		}
		if len(ids) < cap(ids) && n < states.Len() {
			continue
		}
		found, err := d.Results.GetMany(ctx, ids)
		if err != nil {
			return nil, err
		}
		for i, r := range found {
			if r == nil || r.Error == nil {
				continue
			}
			kind := failureKind{r.Error.Class, r.Error.Code}
			f := open[kind]
			if f == nil {
				continue
			}
			if f.CustomID, err = d.customID(ctx, states, rows[i]); err != nil {
				return nil, err
			}
			f.Message, f.Hint = r.Error.Message, r.Error.Hint
			delete(open, kind)
		}
		read += len(ids)
		ids, rows = ids[:0], rows[:0]
	}
	return all, nil
}

// customID is that of a row; its number, where the row has gone or is a run's.
func (d *Detached) customID(ctx context.Context, states *batches.States, n int) (string, error) {
	row, err := d.Batches.Row(ctx, d.Batch.ID, states, n)
	if _, missing := errors.AsType[*batches.MissingRowsError](err); err != nil && !missing {
		return "", err
	}
	return cmp.Or(row.CustomID, strconv.Itoa(n)), nil
}
