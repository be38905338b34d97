package batchfile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/results"
)

// Write writes one record for each row, in the order of the file that the batch was made of: to the file path, in the
// format of its extension, as Job.Run does; or, where output is empty, as lines of JSON to w. A file is put into place
// when it is complete. report is told how many are written; nil: nobody is.
//
// Rows that have not ended are written with the status that they have. The summary counts those that have.
func (d *Detached) Write(ctx context.Context, path string, w io.Writer, report func(done, total int)) (progress.Summary, error) {
	t := &progress.Tally{}
	var err error
	if path == "" {
		buffered := bufio.NewWriterSize(w, 64<<10)
		if err = d.writeLines(ctx, buffered, false, t, report); err == nil {
			err = buffered.Flush()
		}
	} else {
		err = d.writeFile(ctx, path, t, report)
	}
	s := t.Summary()
	s.Rows, s.Output, s.Elapsed = d.Batch.Rows, path, d.Took()
	return s, err
}

func (d *Detached) writeFile(ctx context.Context, path string, t *progress.Tally, report func(done, total int)) error {
	format, compressed, err := input.OutputFormat(path)
	if err != nil {
		return err
	}
	err = output.PutInPlace(path, compressed, func(w io.Writer) error {
		if format.Objects() {
			return d.writeLines(ctx, w, format == input.JSON, t, report)
		}
		return d.writeTable(ctx, w, format, t, report)
	}, func(string) error { return nil })
	if err != nil {
		if _, ok := errors.AsType[*sheet.TooLongError](err); ok {
			err = fmt.Errorf("%w: write to a .csv or .jsonl", err)
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (d *Detached) writeLines(ctx context.Context, w io.Writer, array bool, t *progress.Tally, report func(done, total int)) error {
	out := &output.RecordLines{W: w, Array: array}
	err := d.hand(ctx, false, t, report, func(row *input.Row, res *results.Result) error {
		record, err := output.EncodeRecord(res, row)
		if err != nil {
			return err
		}
		return out.Write(record)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func (d *Detached) writeTable(ctx context.Context, w io.Writer, f input.Format, t *progress.Tally, report func(done, total int)) error {
	form, err := d.shape()
	if err != nil {
		return err
	}
	table, err := output.NewTable(f, w, form.Columns(d.Batch.Columns), form.Separator(f), form.BOM)
	if err != nil {
		return err
	}
	if err := d.hand(ctx, !form.Table, t, report, table.Write); err != nil {
		return errors.Join(err, table.Discard())
	}
	return table.Close()
}

// hand gives each row with its record to write, in their order.
func (d *Detached) hand(ctx context.Context, texts bool, t *progress.Tally, report func(done, total int), write func(*input.Row, *results.Result) error) error {
	form, err := d.shape()
	if err != nil {
		return err
	}
	columns := form.Columns(d.Batch.Columns)
	for r, err := range d.each(ctx, texts) {
		if err != nil {
			return err
		}
		if r.Result.Sealed != nil {
			return fmt.Errorf("the result of row %d is %w", r.Row.N, r.Result.Sealed)
		}
		row, err := form.Restore(columns, r.Row, r.Result.CustomID)
		if err != nil {
			return err
		}
		if err := write(row, r.Result); err != nil {
			return err
		}
		if r.Result.Status.Terminal() {
			t.Add(r.Result, true)
		}
		if report != nil {
			report(r.Row.N, d.Batch.Rows)
		}
	}
	return nil
}
