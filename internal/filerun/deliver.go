package filerun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/results"
)

// writeOutput makes OUTPUT of the journal.
func (r *run) writeOutput(ctx context.Context) error {
	err := output.PutInPlace(r.Output, r.compressed,
		func(w io.Writer) error { return r.writeFormat(ctx, w) },
		func(name string) error {
			if r.Batches == nil { // nobody else could have had a hand in it
				return nil
			}
			return output.Verify(ctx, r.Input, name, r.format, r.compressed)
		})
	if err != nil {
		return fmt.Errorf("write %s: %w", r.Output, r.elsewhere(err))
	}
	return nil
}

// elsewhere adds to the error of a text that a sheet does not take how to get the answers nevertheless: they are paid.
func (r *run) elsewhere(err error) error {
	if _, ok := errors.AsType[*sheet.TooLongError](err); !ok {
		return err
	}
	other := strings.TrimSuffix(r.Output, filepath.Ext(r.Output)) + "." + string(input.JSONL)
	return fmt.Errorf("%w: rename %s to %s and give the same command with -o %s, which asks nothing again", err,
		r.Output+journalSuffix, other+journalSuffix, other)
}

// writeFormat writes all records in OUTPUT's format.
func (r *run) writeFormat(ctx context.Context, w io.Writer) error {
	if r.format.Objects() {
		return r.writeLines(ctx, w)
	}
	c, err := r.Input.OutputColumns(ctx)
	if err != nil {
		return err
	}
	t, err := output.NewTable(r.format, w, c, r.Input.Separator(r.format), r.Input.Spreadsheets())
	if err != nil {
		return err
	}
	if err := r.writeRows(ctx, t); err != nil {
		return errors.Join(err, t.Discard())
	}
	return t.Close()
}

// writeRows writes the rows of a table, in the order of the input.
func (r *run) writeRows(ctx context.Context, t output.TableWriter) error {
	records := r.journal.Reader()
	for row, err := range r.Input.Rows() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		res, err := records.Result(row.N)
		if err != nil {
			return err
		}
		if res == nil {
			return fmt.Errorf("row %d has no record", row.N)
		}
		if err := t.Write(row, res); err != nil {
			return err
		}
	}
	return nil
}

// writeLines copies the records, in the order of the input.
func (r *run) writeLines(ctx context.Context, w io.Writer) error {
	records, out := r.journal.Reader(), &output.RecordLines{W: w, Array: r.format == input.JSON}
	for row := 1; row <= r.total; row++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := records.Line(row)
		if err != nil {
			return err
		}
		if err := out.Write(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
	}
	return out.Close()
}

// outputRecords reads back an OUTPUT that is complete.
func (r *run) outputRecords(ctx context.Context) iter.Seq2[*results.Result, error] {
	return func(yield func(*results.Result, error) bool) {
		c, err := r.Input.OutputColumns(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		output.File{Path: r.Output, ID: c.ID}.Records(ctx)(yield)
	}
}
