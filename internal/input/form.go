package input

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/tasks"
)

// Form is what a detached batch keeps of its input besides the names of its columns, so that the answers can be written
// when the input is gone. The batch holds it as JSON.
type Form struct {
	// Table: a row keeps a cell for each column. Otherwise it may keep the JSON of what is passed through, and its request.
	Table   bool     `json:"table,omitempty"`
	Marked  bool     `json:"marked,omitempty"`  // a row keeps one more cell, a letter for each cell: which of them are numbers
	Carried []string `json:"carried,omitempty"` // by column its name in a record's "input"; "" = it is not in there
	ID      string   `json:"id,omitempty"`      // the name of the column with the custom_id
	Comma   string   `json:"comma,omitempty"`   // the delimiter of a .csv output; "" = a comma
	BOM     bool     `json:"bom,omitempty"`     // such an output begins with the mark of UTF-8
	Runs    bool     `json:"runs,omitempty"`    // rows are runs of a workflow, and a table has columns for their outputs
}

// The letters of a row's cells where they are kept.
const (
	cellText   = 't'
	cellNumber = 'n'
)

// Form is the form of a checked input, and the names of the columns that its rows keep.
func (in *Input) Form(ctx context.Context) (s Form, names []string, err error) {
	c, err := in.OutputColumns(ctx)
	if err != nil {
		return s, nil, err
	}
	s.ID, s.BOM, s.Runs = c.ID, in.Spreadsheets(), in.RunsWorkflow()
	if comma := in.Separator(CSV); comma != ',' {
		s.Comma = string(comma)
	}
	if c.from == nil {
		return s, nil, nil
	}
	s.Table, s.Marked = true, in.reader.format == XLSX
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

// Keep is what a batch keeps of a row, beside its question.
func (s *Form) Keep(c *Columns, row *Row) (kept []string, err error) {
	if !s.Table {
		return row.keepObject()
	}
	kept = c.Cells(row)
	if s.Marked {
		var marks strings.Builder
		for _, from := range c.from {
			if row.mark(from) == spreadsheet.Number {
				marks.WriteByte(cellNumber)
			} else {
				marks.WriteByte(cellText)
			}
		}
		kept = append(kept, marks.String())
	}
	return kept, nil
}

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

// Restore completes a row of which number, custom_id, chat and, as Columns, what Keep returned are known. Without a chat its
// question is gone.
func (s *Form) Restore(c *Columns, row *Row) error {
	if row.Chat == nil {
		row.Chat = new(tasks.Chat)
	}
	if len(row.Chat.AdditionalMessages) == 0 {
		chat := *row.Chat
		chat.AdditionalMessages = []tasks.Message{tasks.Question(chat.Preview)}
		row.Chat = &chat
	}
	kept := row.Columns
	if !s.Table {
		row.Columns = nil
		if err := row.restoreObject(kept); err != nil {
			return fmt.Errorf("read what row %d of the batch carries: %w", row.N, err)
		}
		return nil
	}
	row.table = &header{carried: s.Carried}
	row.Columns = make([]string, len(c.Names)) // all of them empty if the row is gone
	copy(row.Columns, kept)
	if s.Marked && len(kept) == len(c.Names)+1 {
		for _, letter := range kept[len(c.Names)] {
			mark := spreadsheet.Text
			if letter == cellNumber {
				mark = spreadsheet.Number
			}
			row.marks = append(row.marks, mark)
		}
	}
	return nil
}

func (s *Form) Separator(f Format) rune {
	if f == CSV && s.Comma != "" {
		comma, _ := utf8.DecodeRuneInString(s.Comma)
		return comma
	}
	return f.delimiter()
}

// Separator is the delimiter of an OUTPUT. An input with semicolons is from a spreadsheet that needs them.
func (in *Input) Separator(output Format) rune {
	if output == CSV && in.reader.format == CSV {
		return in.reader.decoder.delimiter(CSV)
	}
	return output.delimiter()
}

// Spreadsheets reports whether the input was made by a spreadsheet. Those need the mark of UTF-8 to show Chinese.
func (in *Input) Spreadsheets() bool {
	return in.reader.format == XLSX || in.reader.format.table() && (in.reader.decoder.mark > 0 || in.reader.decoder.encoding() != charset.UTF8)
}
