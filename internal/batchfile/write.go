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
	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/results"
)

// Write writes one record for each row, in the order of the file that the batch was made of: to the file at path, in the
// format of its extension, as a run does; or as lines of JSON to w if path is empty. The file appears when it is complete.
// report, which may be nil, gets how many are written.
//
// Rows that have not ended are written with their current status. The summary counts those that have ended.
func (d *Detached) Write(ctx context.Context, path string, w io.Writer, report func(done, total int)) (progress.Summary, error) {
	t := &progress.Tally{}
	var err error
	if path == "" {
		buffered := bufio.NewWriterSize(w, 64<<10)
		if err = d.write(ctx, buffered, input.JSONL, t, report); err == nil {
			err = buffered.Flush()
		}
	} else {
		err = d.writeFile(ctx, path, t, report)
	}
	s := t.Summary()
	s.Rows, s.Output, s.Elapsed = d.Batch.Rows, path, d.Took()
	return s, err
}

// Encode is Write to w in any format, without a count.
func (d *Detached) Encode(ctx context.Context, w io.Writer, f input.Format) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	if err := d.write(ctx, buffered, f, &progress.Tally{}, nil); err != nil {
		return err
	}
	return buffered.Flush()
}

func (d *Detached) writeFile(ctx context.Context, path string, t *progress.Tally, report func(done, total int)) error {
	format, compressed, err := input.OutputFormat(path)
	if err != nil {
		return err
	}
	err = output.PutInPlace(path, compressed,
		func(w io.Writer) error { return d.write(ctx, w, format, t, report) },
		func(string) error { return nil })
	if err != nil {
		if _, ok := errors.AsType[*spreadsheet.TooLongError](err); ok {
			err = fmt.Errorf("%w: write to a .csv or .jsonl", err)
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (d *Detached) write(ctx context.Context, w io.Writer, f input.Format, t *progress.Tally, report func(done, total int)) error {
	form, err := d.form()
	if err != nil {
		return err
	}
	columns := form.Columns(d.Batch.Columns)
	if form.Runs && !f.Objects() { // a table's header comes before its rows
		for r, err := range d.each(ctx, false) {
			if err != nil {
				return err
			}
			if r.Result.Status == results.Completed {
				columns.AddOutput(r.Result.Answer)
			}
		}
	}
	out, err := output.NewWriter(f, w, columns, form.Separator(f), form.BOM)
	if err != nil {
		return err
	}
	texts := !f.Objects() && !form.Table // a table of an input without columns has the questions
	for r, err := range d.each(ctx, texts) {
		if err == nil && r.Result.Sealed != nil {
			err = fmt.Errorf("the result of row %d is %w", r.Row.N, r.Result.Sealed)
		}
		if err == nil {
			row := &input.Row{N: r.Row.N, CustomID: r.Result.CustomID, Chat: r.Row.Chat, Columns: r.Row.Columns}
			if err = form.Restore(columns, row); err == nil {
				err = out.Write(row, r.Result)
			}
		}
		if err != nil {
			return errors.Join(err, out.Discard())
		}
		if r.Result.Status.Terminal() {
			t.Add(r.Result, true)
		}
		if report != nil {
			report(r.Row.N, d.Batch.Rows)
		}
	}
	return out.Close()
}
