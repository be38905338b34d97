package sheet

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Table is the rows of a sheet in a temporary file.
type Table struct {
	file   *os.File
	left   bool    // the file has still its name
	merges []Range // by Top
}

// packed is a row as it stands in the file, one a line.
type packed struct {
	Number int      `json:"n"`
	Cells  []string `json:"c"`
	Marks  string   `json:"m,omitempty"` // "" = all are Text
}

// newTable makes the file. It loses its name at once, where a system allows that for an open file, so that a process that
// is killed leaves nothing behind.
func newTable() (*Table, error) {
	file, err := os.CreateTemp("", "cozeq-sheet-*")
	if err != nil {
		return nil, err
	}
	return &Table{file: file, left: os.Remove(file.Name()) != nil}, nil
}

func (t *Table) Close() error {
	err := t.file.Close()
	if t.left {
		err = errors.Join(err, os.Remove(t.file.Name()))
	}
	return err
}

// Rows reads the rows from the first one on. Readers of one Table do not disturb each other.
func (t *Table) Rows() *Reader {
	return &Reader{lines: json.NewDecoder(bufio.NewReader(io.NewSectionReader(t.file, 0, math.MaxInt64))), merges: t.merges}
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
