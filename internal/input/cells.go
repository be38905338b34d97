package input

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"

	"github.com/cozeq/cozeq/internal/spreadsheet"
)

// cellReader reads the rows of a table that are not empty. After a *csv.ParseError the next call continues behind the bad
// row; other errors are final.
type cellReader interface {
	read() (cellRow, error)
}

type cellRow struct {
	Line  int // on which it begins; of an xlsx the sheet's row
	Cells []string
	marks []spreadsheet.Mark // of an xlsx
}

// errRecordTooLong stops a csv reader that looks for the end of a quote.
var errRecordTooLong = errors.New("the next row has more than 32 MiB: is a quote not closed?")

// bounded reads only so many bytes, so that a quote that is not closed does not swallow the file.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRecordTooLong
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

type csvReader struct {
	csv    *csv.Reader
	source *bounded
	line   int // on which the last row began
}

func newCSVReader(r io.Reader, comma rune) *csvReader {
	source := &bounded{r: r, left: maxLine}
	c := &csvReader{csv: csv.NewReader(source), source: source}
	c.csv.FieldsPerRecord = -1 // evenOut checks the number of cells
	c.csv.Comma = comma
	return c
}

func (c *csvReader) read() (cellRow, error) {
	for {
		c.source.left = maxLine
		cells, err := c.csv.Read()
		if err != nil {
			if parse, ok := errors.AsType[*csv.ParseError](err); ok {
				c.line = parse.StartLine
			}
			return cellRow{Line: c.line}, err
		}
		c.line, _ = c.csv.FieldPos(0)
		if !blankCells(cells) {
			return cellRow{Line: c.line, Cells: cells}, nil
		}
	}
}

// Damaged says which cell cannot be read, and why; "" = none.
func (r *cellRow) Damaged() string {
	if i := slices.Index(r.marks, spreadsheet.Damaged); i >= 0 {
		return damagedCell(i, r.Line, r.Cells[i])
	}
	return ""
}

// tableError makes a *Problem of a fault of the file. line is where the last good row begins.
func (f *file) tableError(line int, err error) error {
	if _, ok := errors.AsType[*Problem](err); ok {
		return err
	}
	_, damaged := errors.AsType[*damagedError](err)
	if damaged || errors.Is(err, errRecordTooLong) {
		p := f.problem(line, "%v", err)
		p.ends = true
		return p
	}
	parse, ok := errors.AsType[*csv.ParseError](err)
	switch {
	case !ok:
		return f.readError(err)
	case errors.Is(err, csv.ErrBareQuote):
		return f.problem(parse.Line, "a quote in the middle of a cell: put the cell into quotes, and double those inside")
	case errors.Is(err, csv.ErrQuote):
		return f.problem(parse.StartLine, "a cell's quotes do not match: one is not closed, or one inside is not doubled")
	}
	return f.problem(parse.Line, "%v", parse.Err)
}
