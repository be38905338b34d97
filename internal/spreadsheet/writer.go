package spreadsheet

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"
)

// MaxRows is how many rows a sheet has, the header among them; MaxText how many units of UTF-16 a cell takes.
const (
	MaxRows = excelize.TotalRows
	MaxText = excelize.TotalCellChars
)

// errTooManyRows is the error of a row that a sheet has no place for.
var errTooManyRows = fmt.Errorf("a sheet takes %d rows", MaxRows)

// TooLongError is a text that a cell has no place for. Excel would cut it off.
type TooLongError struct{ Units int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("%d characters, a cell of an .xlsx takes %d", e.Units, MaxText)
}

// Fits reports, as a *TooLongError, whether a cell takes the text.
func Fits(text string) error {
	if len(text) <= MaxText {
		return nil // a unit is never more than its bytes
	}
	units := 0
	for _, r := range text {
		units += utf16.RuneLen(r)
	}
	if units > MaxText {
		return &TooLongError{Units: units}
	}
	return nil
}

// Writer writes an .xlsx of one sheet, whose first row is a header. Its rows are in a temporary file until Close writes
// all of it. Control characters, which XML cannot hold, come out as U+FFFD.
type Writer struct {
	book *excelize.File
	rows *excelize.StreamWriter
	n    int
}

// Widths of columns, in characters.
const (
	width     = 16
	wideWidth = 60
)

// NewWriter begins a workbook that goes to w. Columns that hold long texts are made wide; they count from 0.
func NewWriter(w io.Writer, header []string, wide ...int) (*Writer, error) {
	// excelize would make the whole archive in memory first.
	book := excelize.NewFile().SetZipWriter(func(io.Writer) excelize.ZipWriter { return zip.NewWriter(w) })
	s := &Writer{book: book}
	if err := s.begin(header, wide); err != nil {
		return nil, errors.Join(err, s.Discard())
	}
	return s, nil
}

func (s *Writer) begin(header []string, wide []int) (err error) {
	bold, err := s.book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return err
	}
	if s.rows, err = s.book.NewStreamWriter("Sheet1"); err != nil {
		return err
	}
	if err := s.rows.SetColWidth(1, max(len(header), 1), width); err != nil {
		return err
	}
	for _, column := range wide {
		if err := s.rows.SetColWidth(column+1, column+1, wideWidth); err != nil {
			return err
		}
	}
	panes := &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}
	if err := s.rows.SetPanes(panes); err != nil {
		return err
	}
	cells := make([]any, len(header))
	for i, name := range header {
		cells[i] = excelize.Cell{StyleID: bold, Value: name}
	}
	return s.write(cells)
}

// Write appends a row. A cell is a string, which is written as text whatever it looks like, an int64 or a float64. A
// text that is too long is a *TooLongError.
func (s *Writer) Write(cells []any) error {
	for _, cell := range cells {
		if text, ok := cell.(string); ok {
			if err := Fits(text); err != nil {
				return err
			}
		}
	}
	return s.write(cells)
}

func (s *Writer) write(cells []any) error {
	if s.n == MaxRows {
		return errTooManyRows
	}
	s.n++
	return s.rows.SetRow(fmt.Sprintf("A%d", s.n), cells)
}

func (s *Writer) Close() error {
	err := s.rows.Flush()
	if err == nil {
		err = s.book.Write(io.Discard) // to w it goes through the archive's writer
	}
	return errors.Join(err, s.Discard())
}

// Discard gives up what was not written yet.
func (s *Writer) Discard() error { return s.book.Close() }
