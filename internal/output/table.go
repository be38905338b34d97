package output

import (
	"encoding/csv"
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

// Writer writes an OUTPUT, a row at a time. A table has the input's columns, those of a workflow's output, then those of the
// answer.
type Writer interface {
	Write(row *input.Row, res *results.Result) error
	Close() error   // completes the file
	Discard() error // gives up
}

// csvWriter writes a csv or tsv. A text that a spreadsheet would run as a formula is quoted.
type csvWriter struct {
	columns *input.Columns
	csv     *csv.Writer
}

const utf8BOM = "\ufeff"

func newCSVWriter(w io.Writer, c *input.Columns, comma rune, marked bool) (*csvWriter, error) {
	if marked {
		if _, err := io.WriteString(w, utf8BOM); err != nil {
			return nil, err
		}
	}
	t := &csvWriter{columns: c, csv: csv.NewWriter(w)}
	t.csv.Comma = comma
	return t, t.writeRow(c.Names, c.OutputNames(), input.AnswerNames)
}

func (t *csvWriter) writeRow(cells ...[]string) error {
	all := slices.Concat(cells...)
	for i, cell := range all {
		all[i] = input.QuoteFormula(cell)
	}
	return t.csv.Write(all)
}

func (t *csvWriter) Write(row *input.Row, res *results.Result) error {
	fields, _ := t.columns.OutputCells(res.Answer)
	return t.writeRow(t.columns.Cells(row), fields, answerCells(res))
}

func (t *csvWriter) Close() error {
	t.csv.Flush()
	return t.csv.Error()
}

func (t *csvWriter) Discard() error { return nil }

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
