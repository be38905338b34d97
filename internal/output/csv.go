package output

import (
	"encoding/csv"
	"io"
	"slices"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

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
