package input

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/cozeq/cozeq/internal/sheet"
)

// cellReader reads the rows of a table that are not empty. After a *csv.ParseError the next call continues behind the bad
// row; other errors are final.
type cellReader interface {
	read() (cellRow, error)
}

// cellRow is one row of a table.
type cellRow struct {
	Line  int // on which it begins; of an xlsx the sheet's row
	Cells []string
	marks []sheet.Mark // of an xlsx
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

// csvReader reads the rows of a csv or tsv.
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

// sheetReader reads the rows of an xlsx.
type sheetReader struct{ rows *sheet.Reader }

func (s sheetReader) read() (cellRow, error) {
	for {
		row, err := s.rows.Read()
		if err != nil {
			return cellRow{}, err
		}
		if !blankCells(row.Cells) {
			return cellRow{Line: row.Number, Cells: row.Cells, marks: row.Marks}, nil
		}
	}
}

// Damaged says which cell cannot be read, and why; "" = none.
func (r *cellRow) Damaged() string {
	if i := slices.Index(r.marks, sheet.Damaged); i >= 0 {
		return damagedCell(i, r.Line, r.Cells[i])
	}
	return ""
}

// TableCells yields the rows of a table as they stand in the file, header included. What the file is to blame for is a
// *Problem. An error ends the sequence.
func (in *Input) TableCells(ctx context.Context) iter.Seq2[cellRow, error] {
	return func(yield func(cellRow, error) bool) {
		t, err := in.cells(ctx, in.content())
		line := 1
		for err == nil {
			var row cellRow
			if row, err = t.read(); err != nil {
				break
			}
			line = row.Line
			if !yield(row, nil) {
				return
			}
		}
		if err != io.EOF {
			yield(cellRow{}, in.tableError(line, err))
		}
	}
}
