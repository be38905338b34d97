package input

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// shape is what a detached batch keeps of its input's form, besides the names of its columns, so that the answers can be
// written when the input is long gone. It stands in the batch as JSON.
type Form struct {
	Table   bool     `json:"table,omitempty"`   // a row keeps a cell for each column; else it may keep one, the JSON of what it carries, and one of its request
	Marked  bool     `json:"marked,omitempty"`  // ... and one more, a letter for each cell: which of them are numbers
	Carried []string `json:"carried,omitempty"` // by column its name in a record's "input"; "" = it has its place elsewhere
	ID      string   `json:"id,omitempty"`      // the name of the column with the custom_id
	Comma   string   `json:"comma,omitempty"`   // what stands between the cells of a .csv output; "" = a comma
	BOM     bool     `json:"bom,omitempty"`     // such an output begins with the mark of UTF-8
}

// The letters of a row's cells where they are kept.
const (
	cellText   = 't'
	cellNumber = 'n'
)

// shape finds out the form of a checked input, and the names of the columns that its rows keep.
func (in *Input) Form(ctx context.Context) (s Form, names []string, err error) {
	c, err := in.OutputColumns(ctx)
	if err != nil {
		return s, nil, err
	}
	s.ID, s.BOM = c.ID, in.Spreadsheets()
	if comma := in.Separator(CSV); comma != ',' {
		s.Comma = string(comma)
	}
	if c.from == nil {
		return s, nil, nil
	}
	s.Table, s.Marked = true, in.format == XLSX
	for row, err := range in.Rows() {
		if err != nil {
			return s, nil, err
		}
		for _, from := range c.from {
			s.Carried = append(s.Carried, row.table.carried[from])
		}
		break
	}
	return s, c.Names, nil
}

// keep is what a batch keeps of a row, beside its question.
func (s *Form) Keep(c *Columns, row *Row) (kept []string, err error) {
	if !s.Table {
		return row.keepObject()
	}
	kept = c.Cells(row)
	if s.Marked {
		var marks strings.Builder
		for _, from := range c.from {
			if row.mark(from) == sheet.Number {
				marks.WriteByte(cellNumber)
			} else {
				marks.WriteByte(cellText)
			}
		}
		kept = append(kept, marks.String())
	}
	return kept, nil
}

// keepObject is what a batch keeps of a row without cells.
func (r *Row) keepObject() (kept []string, err error) {
	if len(r.carried) > 0 || r.Request != nil {
		kept = append(kept, "")
	}
	if len(r.carried) > 0 {
		carried, err := Marshal(r.carried)
		if err != nil {
			return nil, err
		}
		kept[0] = string(carried)
	}
	if r.Request != nil {
		raw, err := Marshal(r.Request)
		if err != nil {
			return nil, err
		}
		kept = append(kept, string(raw))
	}
	return kept, nil
}

// restoreObject is its counterpart.
func (r *Row) restoreObject(kept []string) error {
	for i, into := range []any{&r.carried, &r.Request} {
		if i < len(kept) && kept[i] != "" {
			if err := json.Unmarshal([]byte(kept[i]), into); err != nil {
				return err
			}
		}
	}
	return nil
}

// columns are those of a table output.
func (s *Form) Columns(names []string) *Columns {
	if !s.Table {
		return &Columns{Names: []string{FieldCustomID, FieldQuestion}, ID: s.ID}
	}
	c := &Columns{Names: names, from: make([]int, len(names)), ID: s.ID}
	for i := range c.from {
		c.from[i] = i
	}
	return c
}

// restore makes the row of what was kept of it. One whose question has gone has no more than its number and custom_id.
func (s *Form) Restore(c *Columns, kept batches.Row, customID string) (*Row, error) {
	row := &Row{N: kept.N, CustomID: customID, Chat: kept.Chat, Columns: kept.Columns}
	if row.Chat == nil {
		row.Chat = new(tasks.Chat)
	}
	if len(row.Chat.AdditionalMessages) == 0 {
		chat := *row.Chat
		chat.AdditionalMessages = []tasks.Message{tasks.Question(chat.Preview)}
		row.Chat = &chat
	}
	if !s.Table {
		if err := row.restoreObject(kept.Columns); err != nil {
			return nil, fmt.Errorf("read what row %d of the batch carries: %w", kept.N, err)
		}
		row.Columns = nil
		return row, nil
	}
	row.table = &header{carried: s.Carried}
	marks := ""
	if s.Marked && len(row.Columns) == len(c.Names)+1 {
		marks = row.Columns[len(c.Names)]
	}
	cells := make([]string, len(c.Names)) // all of them empty where the row has gone
	copy(cells, row.Columns)
	row.Columns = cells
	for _, letter := range marks {
		mark := sheet.Text
		if letter == cellNumber {
			mark = sheet.Number
		}
		row.marks = append(row.marks, mark)
	}
	return row, nil
}

// separator is what stands between the cells of an output.
func (s *Form) Separator(f Format) rune {
	if f == CSV && s.Comma != "" {
		comma, _ := utf8.DecodeRuneInString(s.Comma)
		return comma
	}
	return f.delimiter()
}

// separator is what stands between the cells of an OUTPUT. Whoever has a table with semicolons has a spreadsheet that
// wants them.
func (in *Input) Separator(output Format) rune {
	if output == CSV && in.format == CSV {
		return in.reading.delimiter(CSV)
	}
	return output.delimiter()
}

// spreadsheets reports whether the input was made by a spreadsheet, which takes UTF-8 without its mark for something
// else and shows no Chinese.
func (in *Input) Spreadsheets() bool {
	return in.format == XLSX || in.format.table() && (in.mark > 0 || in.reading.encoding() != charset.UTF8)
}
