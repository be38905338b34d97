package input

import (
	"context"
	"slices"

	"github.com/cozeq/cozeq/internal/spreadsheet"
)

// Columns are those of a table OUTPUT that come from the input, before those of the answer.
type Columns struct {
	Names []string
	from  []int  // for each its place in Row.Columns; nil: the input has no columns, and these are custom_id and question
	ID    string // the name of the one with the custom_id; "" = there is none

	Output []string // fields of a workflow's output, which get columns between these and the answer's
}

// OutputColumns are the input's columns, in their order. Those of an earlier answer are left out, as the new ones take
// their place. Another that has the name of one of the answer's is called input_NAME, so that no name is there twice.
func (in *Input) OutputColumns(ctx context.Context) (*Columns, error) {
	if !in.reader.format.table() {
		return &Columns{Names: []string{FieldCustomID, FieldQuestion}, ID: FieldCustomID}, nil
	}
	h, err := in.reader.header(ctx)
	if err != nil {
		return nil, err
	}
	c := &Columns{from: []int{}}
	for i := range h.names {
		if h.isAnswer(i) {
			continue
		}
		name := h.names[i]
		if h.quoted {
			name = UnquoteFormula(name)
		}
		for slices.Contains(AnswerNames, name) || name != h.names[i] && slices.Contains(h.names, name) {
			name = "input_" + name
		}
		c.Names = append(c.Names, name)
		c.from = append(c.from, i)
		if at, there := h.fields[FieldCustomID]; there && at == i {
			c.ID = name
		}
	}
	return c, nil
}

func (c *Columns) Cells(row *Row) []string {
	if c.from == nil {
		return []string{row.CustomID, row.Question()}
	}
	cells := make([]string, len(c.from))
	for i, from := range c.from {
		cells[i] = row.Columns[from]
	}
	return cells
}

// IsNumber reports whether a row's cell in the ith of these columns is a number of a sheet.
func (c *Columns) IsNumber(row *Row, i int) bool {
	return c.from != nil && row.mark(c.from[i]) == spreadsheet.Number
}
