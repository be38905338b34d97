package filerun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/results"
)

// deliver makes OUTPUT of the journal.
func (r *run) deliver(ctx context.Context) error {
	path := r.job.Output
	if path == "" {
		return nil
	}
	write := r.writeTable
	if r.format.Objects() {
		write = r.writeLines
	}
	err := output.PutInPlace(path, r.compressed,
		func(w io.Writer) error { return write(ctx, w) },
		func(name string) error {
			if r.shared == nil { // only this process has written to the journal
				return nil
			}
			return output.Verify(ctx, r.job.Input, name, r.format, r.compressed)
		})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, r.adviseOtherFormat(err))
	}
	if err := os.Remove(r.journal.Path()); err != nil {
		return fmt.Errorf("%s is complete, but: %w", path, err)
	}
	return nil
}

// adviseOtherFormat adds a hint to the error for a text that is too long for a sheet: the answers are paid for, and another
// format holds them.
func (r *run) adviseOtherFormat(err error) error {
	if _, ok := errors.AsType[*spreadsheet.TooLongError](err); !ok {
		return err
	}
	path := r.job.Output
	other := strings.TrimSuffix(path, filepath.Ext(path)) + "." + string(input.JSONL)
	return fmt.Errorf("%w: rename %s to %s and give the same command with -o %s, which asks nothing again", err,
		path+journalSuffix, other+journalSuffix, other)
}

// writeTable writes the rows with their answers, in the order of the input.
func (r *run) writeTable(ctx context.Context, w io.Writer) error {
	in := r.job.Input
	c, err := in.OutputColumns(ctx)
	if err != nil {
		return err
	}
	if in.RunsWorkflow() {
		if err := r.addOutputColumns(ctx, c); err != nil {
			return err
		}
	}
	t, err := output.NewWriter(r.format, w, c, in.Separator(r.format), in.Spreadsheets())
	if err != nil {
		return err
	}
	if err := r.writeRows(ctx, t); err != nil {
		return errors.Join(err, t.Discard())
	}
	return t.Close()
}

// addOutputColumns finds the fields of all outputs: a table's header comes before its rows.
func (r *run) addOutputColumns(ctx context.Context, c *input.Columns) error {
	return r.eachRow(ctx, func(_ int, res *results.Result) error {
		if res != nil && res.Status == results.Completed {
			c.AddOutput(res.Answer)
		}
		return nil
	})
}

// eachRow calls f for every row, with its record; nil: it has none.
func (r *run) eachRow(ctx context.Context, f func(row int, res *results.Result) error) error {
	records := r.journal.Reader()
	for row := 1; row <= r.total; row++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		res, err := records.Result(row)
		if err == nil {
			err = f(row, res)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) writeRows(ctx context.Context, t output.Writer) error {
	records := r.journal.Reader()
	for row, err := range r.job.Input.Rows() {
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
	records, out := r.journal.Reader(), &output.Lines{W: w, Array: r.format == input.JSON}
	for row := 1; row <= r.total; row++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := records.Line(row)
		if err != nil {
			return err
		}
		if err := out.WriteRecord(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
	}
	return out.Close()
}
