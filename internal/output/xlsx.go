package output

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/parquet"
	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/results"
)

// sheetWriter writes an xlsx. Numbers of the input's sheet and of the answer are numbers, all else is text.
type sheetWriter struct {
	columns *input.Columns
	sheet   *spreadsheet.Writer
}

func newSheetWriter(w io.Writer, c *input.Columns) (*sheetWriter, error) {
	names := slices.Concat(c.Names, c.OutputNames(), input.AnswerNames)
	wide := []int{len(c.Names) + len(c.Output)} // the answer
	if i := slices.Index(c.Names, input.FieldQuestion); i >= 0 {
		wide = append(wide, i)
	}
	s, err := spreadsheet.NewWriter(w, names, wide...)
	return &sheetWriter{columns: c, sheet: s}, err
}

func (t *sheetWriter) Write(row *input.Row, res *results.Result) error {
	var cells []any
	for i, text := range t.columns.Cells(row) {
		if t.columns.IsNumber(row, i) {
			cells = append(cells, numeric(text))
		} else {
			cells = append(cells, text)
		}
	}
	fields, numbers := t.columns.OutputCells(res.Answer)
	for i, text := range fields {
		if numbers[i] {
			cells = append(cells, numeric(text))
		} else {
			cells = append(cells, text)
		}
	}
	for i, text := range answerCells(res) {
		if text != "" && input.AnswerColumns[i].Type == parquet.Number {
			cells = append(cells, numeric(text))
		} else {
			cells = append(cells, text)
		}
	}
	err := t.sheet.Write(cells)
	if _, ok := errors.AsType[*spreadsheet.TooLongError](err); ok {
		return fmt.Errorf("row %d: a text has %w", row.N, err)
	}
	return err
}

// numeric is a text that is known to be a number.
func numeric(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return f
	}
	return text
}

func (t *sheetWriter) Close() error   { return t.sheet.Close() }
func (t *sheetWriter) Discard() error { return t.sheet.Discard() }
