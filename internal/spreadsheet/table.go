package spreadsheet

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Table is the rows of a sheet in a temporary file.
type Table struct {
	*tempFile
	merges []Range // by Top
}

// packed is a row as it stands in the file, one a line.
type packed struct {
	Number int      `json:"n"`
	Cells  []string `json:"c"`
	Marks  string   `json:"m,omitempty"` // "" = all are Text
}

// Rows reads the rows from the first one on. Readers of one Table do not disturb each other.
func (t *Table) Rows() *Reader {
	return &Reader{lines: json.NewDecoder(bufio.NewReader(io.NewSectionReader(t.File, 0, math.MaxInt64))), merges: t.merges}
}

// Reader reads the rows of a Table.
type Reader struct {
	lines  *json.Decoder
	merges []Range // by Top: those that begin further down
	here   []Range // those that the rows are in
}

// Read returns the next row of the sheet, io.EOF behind the last one. Rows without any cell are passed over.
func (r *Reader) Read() (*Row, error) {
	for {
		var p packed
		if err := r.lines.Decode(&p); err != nil {
			if err != io.EOF {
				err = fmt.Errorf("read the unpacked sheet: %w", err)
			}
			return nil, err
		}
		row := &Row{Number: p.Number, Cells: p.Cells, Marks: []Mark(p.Marks)}
		for len(r.merges) > 0 && r.merges[0].Top <= row.Number {
			r.here, r.merges = append(r.here, r.merges[0]), r.merges[1:]
		}
		r.here = slices.DeleteFunc(r.here, func(m Range) bool { return m.Bottom < row.Number })
		for _, m := range r.here {
			row.merge(m)
		}
		if len(row.Cells) > 0 {
			return row, nil
		}
	}
}

// merge marks the row's part of merged cells, all but the cell that has their text.
func (r *Row) merge(m Range) {
	for column := m.Left - 1; column < m.Right; column++ {
		if r.Number == m.Top && column == m.Left-1 {
			continue
		}
		for len(r.Marks) <= column {
			r.Marks = append(r.Marks, Text)
		}
		r.Marks[column] = Merged
	}
}
