package batch

import (
	"context"
	"fmt"
	"slices"

	"github.com/cozeq/cozeq/internal/sheet"
)

// columns are those of a table OUTPUT that come from the input, before those of the answer.
type columns struct {
	names []string
	from  []int  // for each its place in Row.Columns; nil: the input has no columns, and these are custom_id and question
	id    string // the name of the one with the custom_id; "" = there is none
}

// outputColumns are the input's columns, in their order. Those of an earlier answer are left out, as the new ones take
// their place. Another that has the name of one of the answer's is called input_NAME, so that no name is there twice.
func (in *Input) outputColumns(ctx context.Context) (*columns, error) {
	if !in.format.table() {
		return &columns{names: []string{fieldCustomID, fieldQuestion}, id: fieldCustomID}, nil
	}
	t, err := in.cells(ctx, in.content())
	if err != nil {
		return nil, err
	}
	h, err := in.header(t)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", in.name, err)
	}
	c := &columns{from: []int{}}
	for i := range h.names {
		if h.isAnswer(i) {
			continue
		}
		name := h.names[i]
		if h.quoted {
			name = unquoteFormula(name)
		}
		for slices.Contains(answerColumns, name) || name != h.names[i] && slices.Contains(h.names, name) {
			name = "input_" + name
		}
		c.names = append(c.names, name)
		c.from = append(c.from, i)
		if at, there := h.fields[fieldCustomID]; there && at == i {
			c.id = name
		}
	}
	return c, nil
}

// cells are what a row has in these columns.
func (c *columns) cells(row *Row) []string {
	if c.from == nil {
		return []string{row.CustomID, row.Question()}
	}
	cells := make([]string, len(c.from))
	for i, from := range c.from {
		cells[i] = row.Columns[from]
	}
	return cells
}

// answerColumns stand behind the input's columns in a table.
var answerColumns = []string{"answer", "status", columnErrorCode, "error_msg", columnTokenCount, "conversation_id", "chat_id"}

// The columns that are numbers.
const (
	columnErrorCode  = "error_code"
	columnTokenCount = "token_count"
)

// isNumber reports whether a row's cell in the ith of these columns is a number of a sheet.
func (c *columns) isNumber(row *Row, i int) bool {
	return c.from != nil && row.mark(c.from[i]) == sheet.Number
}
