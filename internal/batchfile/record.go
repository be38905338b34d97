package batchfile

import (
	"context"
	"fmt"
	"iter"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// Record is a row of a batch with what became of it.
type Record struct {
	Row    *input.Row
	Result *results.Result // never nil; one that has not ended says so
}

// Each yields a record for each row, in the order of the file, and holds one chunk of rows at a time. An error ends it; one
// of encryption is a *results.SealedError.
func (d *Detached) Each(ctx context.Context) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		form, err := d.form()
		if err != nil {
			yield(nil, err)
			return
		}
		columns := form.Columns(d.Batch.Columns)
		for r, err := range d.each(ctx, false) {
			if err == nil && r.Result.Sealed != nil {
				err = fmt.Errorf("the result of row %d is %w", r.Row.N, r.Result.Sealed)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			row := &input.Row{N: r.Row.N, CustomID: r.Result.CustomID, Chat: r.Row.Chat, Columns: r.Row.Columns}
			if err := form.Restore(columns, row); err != nil {
				yield(nil, err)
				return
			}
			if !yield(&Record{Row: row, Result: r.Result}, nil) {
				return
			}
		}
	}
}
