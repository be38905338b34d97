package input

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/spreadsheet"
)

type table struct {
	file    *file
	format  Format
	decoder *decoder
	names   *names
}

// parse fills the row from its cells and returns all errors in them.
func (t *table) parse(row *Row) (wrong []string) {
	h := row.table
	if what := t.evenOut(row); what != "" {
		return []string{what}
	}
	for i, cell := range row.Columns {
		if what := t.decoder.wrongText([]byte(cell), h.ownName(i)); what != "" {
			return []string{what}
		}
		if h.quoted {
			row.Columns[i] = UnquoteFormula(cell)
		}
	}
	wrong = append(wrong, row.wrongCells()...)
	if len(wrong) > 0 {
		return wrong
	}
	if t.names.run {
		wrong = append(wrong, t.setParameters(row)...)
	} else if err := t.setQuestion(row); err != nil {
		wrong = append(wrong, err.Error())
	}
	for _, name := range append([]string{FieldCustomID}, tableFields...) {
		i, there := h.fields[name]
		if !there || Blank(row.Columns[i]) {
			continue
		}
		if err := setField(row, name, cellJSON(name, strings.TrimSpace(row.Columns[i]))); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return wrong
}

// evenOut gives the row as many cells as the header has. A sheet stores no empty cells at the end of a row, and a
// spreadsheet that saves a .csv may omit them, or write some more.
func (t *table) evenOut(row *Row) (wrong string) {
	width := len(row.table.names)
	cells, over := Evened(row.Columns, width)
	switch {
	case over == 0:
		row.Columns = cells
		return ""
	case t.format == XLSX:
		return fmt.Sprintf("cell %s%d stands in a column without a name: the header ends at %s", spreadsheet.Column(over), row.Line, spreadsheet.Column(width))
	}
	return fmt.Sprintf("%s, but the header has %d", countOf(len(row.Columns), "cell"), width)
}

// Evened makes a row width cells long with empty cells. over is the column, from 1, of the first cell that is not empty and
// beyond the width, 0 = there is none.
func Evened(cells []string, width int) (even []string, over int) {
	for i := width; i < len(cells); i++ {
		if !Blank(cells[i]) {
			return nil, i + 1
		}
	}
	for len(cells) < width {
		cells = append(cells, "")
	}
	return cells[:width], 0
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// wrongCells reports cells of a sheet that have no value of their own where one is needed.
func (r *Row) wrongCells() (wrong []string) {
	if r.marks == nil {
		return nil
	}
	used := func(i int) bool {
		_, param := r.table.params[i]
		return i == r.table.question || r.table.means(i) || r.table.isPrompted(i) || param
	}
	for i := range r.table.names {
		name := r.table.ownName(i)
		if r.mark(i) == spreadsheet.Damaged { // passed through, it would be lost
			wrong = append(wrong, fmt.Sprintf("%s: %s", name, damagedCell(i, r.Line, r.Columns[i])))
		}
		if !used(i) {
			continue
		}
		switch r.mark(i) {
		case spreadsheet.Rounded:
			if r.table.means(i) {
				wrong = append(wrong, fmt.Sprintf("%s: %s is a number whose last digits the spreadsheet has not kept: enter it as text", name, r.Columns[i]))
			}
		case spreadsheet.Fault:
			wrong = append(wrong, fmt.Sprintf("%s: the cell holds the error %s", name, r.Columns[i]))
		case spreadsheet.Unreckoned:
			wrong = append(wrong, name+": the value of the cell's formula is not stored: open the file in a spreadsheet and save it")
		case spreadsheet.Merged:
			wrong = append(wrong, name+": the cell is merged with another: undo that, and fill each cell")
		}
	}
	return wrong
}

func damagedCell(column, row int, why string) string {
	return fmt.Sprintf("cell %s%d is damaged: %s", spreadsheet.Column(column+1), row, why)
}

func (r *Row) mark(column int) spreadsheet.Mark {
	if column < len(r.marks) {
		return r.marks[column]
	}
	return spreadsheet.Text
}

func (t *table) setQuestion(row *Row) error {
	h := row.table
	if t.names.prompt == nil {
		question := row.Columns[h.question]
		if Blank(question) {
			return fmt.Errorf("%s: %w", h.ownName(h.question), errEmpty)
		}
		row.question = &question
		return nil
	}
	fields := make(map[string]any, len(h.names))
	for i, cell := range row.Columns {
		if name := h.meant[i]; name != "" {
			if _, there := fields[name]; !there {
				fields[name] = cell
			}
		}
	}
	question, err := t.names.prompt.fill(fields)
	row.question = &question
	return err
}

// cellJSON is a cell as JSON: an object as it stands, anything else as a string.
func cellJSON(name, cell string) json.RawMessage {
	switch name {
	case fieldCustomVariables, fieldParameters, fieldMetaData:
		return json.RawMessage(cell)
	case fieldFileURL, fieldFileID, fieldImageURL, fieldImageID, fieldFile, fieldImage:
		if strings.HasPrefix(cell, "[") {
			return json.RawMessage(cell)
		}
	}
	raw, _ := json.Marshal(cell) // a string always marshals
	return raw
}
