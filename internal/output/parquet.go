package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/parquet"
	"github.com/cozeq/cozeq/results"
)

// timeColumns follow the columns that any table has.
var timeColumns = []string{"created_at", "started_at", "completed_at"}

// parquetWriter writes a .parquet. The answer's numbers are int64, its times timestamps; what is absent is null.
type parquetWriter struct {
	columns *input.Columns
	file    *parquet.Writer
}

func newParquetWriter(w io.Writer, c *input.Columns) (*parquetWriter, error) {
	var columns []parquet.Column
	for _, name := range c.Names {
		if slices.Contains(timeColumns, name) {
			name = "input_" + name
		}
		columns = append(columns, parquet.Column{Name: name})
	}
	for _, name := range c.OutputNames() {
		columns = append(columns, parquet.Column{Name: name})
	}
	columns = append(columns, input.AnswerColumns...)
	for _, name := range timeColumns {
		columns = append(columns, parquet.Column{Name: name, Type: parquet.Time})
	}
	file, err := parquet.NewWriter(w, columns)
	return &parquetWriter{c, file}, err
}

func (t *parquetWriter) Write(row *input.Row, res *results.Result) error {
	fields, _ := t.columns.OutputCells(res.Answer)
	times := make([]string, len(timeColumns))
	for i, at := range []results.Time{res.CreatedAt, res.StartedAt, res.CompletedAt} {
		if !at.IsZero() {
			times[i] = at.String()
		}
	}
	if err := t.file.Write(slices.Concat(t.columns.Cells(row), fields, answerCells(res), times)); err != nil {
		return fmt.Errorf("row %d: %w", row.N, err)
	}
	return nil
}

func (t *parquetWriter) Close() error   { return t.file.Close() }
func (t *parquetWriter) Discard() error { return nil }

func (o File) isParquet() bool {
	if o.format != "" {
		return o.format == string(input.Parquet)
	}
	f, _, err := input.OutputFormat(o.Path)
	return err == nil && f == input.Parquet
}

func (o File) parquetRecords(ctx context.Context, yield func(*results.Result, error) bool) {
	err := o.eachParquet(ctx, func(res *results.Result) bool { return yield(res, nil) })
	if errors.Is(err, parquet.ErrForeign) {
		err = notAnOutput(o.Path, 0, err.Error())
	}
	if err != nil {
		yield(nil, err)
	}
}

func (o File) eachParquet(ctx context.Context, yield func(*results.Result) bool) error {
	file, err := os.Open(o.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r, err := parquet.NewReader(file, info.Size())
	if err != nil {
		return err
	}
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	if n := len(names) - len(timeColumns); n >= 0 && slices.Equal(names[n:], timeColumns) {
		names = names[:n]
	}
	of, err := o.columns(names)
	if err != nil {
		return notAnOutput(o.Path, 0, err.Error())
	}
	n := 0
	for cells, err := range r.Rows() {
		if n++; err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		res, err := of.record(cells[:len(names)], n)
		if err != nil {
			return notAnOutput(o.Path, 0, fmt.Sprintf("row %d: %v", n, err))
		}
		if !yield(res) {
			return nil
		}
	}
	return nil
}
