package output

import (
	"io"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// Writer writes an OUTPUT, a row at a time. A table has the input's columns, those of a workflow's output, then those of the
// answer.
type Writer interface {
	Write(row *input.Row, res *results.Result) error
	Close() error   // completes the file
	Discard() error // gives up
}

// NewWriter begins a file in a format. Of a table, c is the columns from the input; comma separates the cells of a csv or
// tsv, and marked puts the mark of UTF-8 before it.
func NewWriter(f input.Format, w io.Writer, c *input.Columns, comma rune, marked bool) (Writer, error) {
	switch {
	case f.Objects():
		return &Lines{W: w, Array: f == input.JSON}, nil
	case f == input.XLSX:
		return newSheetWriter(w, c)
	case f == input.Parquet:
		return newParquetWriter(w, c)
	}
	return newCSVWriter(w, c, comma, marked)
}
