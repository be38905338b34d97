package input

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/tasks"
)

// cells opens the table at its beginning. An xlsx is unpacked at the first call.
func (in *Input) cells(ctx context.Context, content io.Reader) (cellReader, error) {
	if in.format != XLSX {
		return newCSVReader(in.text(content), in.reading.delimiter(in.format)), nil
	}
	in.unpack.Lock()
	defer in.unpack.Unlock()
	if in.table == nil {
		blocks := newBlockWriter()
		if _, err := io.Copy(blocks, cancelable{ctx, in.content()}); err != nil {
			return nil, fmt.Errorf("read %s: %w", in.name, err)
		}
		table, err := in.book.Unpack(ctx, in.reading.Sheet)
		if bad, ok := errors.AsType[*sheet.DamagedError](err); ok {
			return nil, in.problem(bad.Row, "%s", bad.What)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", in.name, err)
		}
		in.table, in.blocks = table, blocks.blocks()
		if err := in.sameBook(); err != nil {
			return nil, fmt.Errorf("read %s: %w", in.name, err)
		}
		in.forget()
	}
	return sheetReader{in.table.Rows()}, nil
}

// sameBook checks that the unpacked rows are those of the content: a workbook is opened by its name, and a spreadsheet that
// saves it puts another file under that name.
func (in *Input) sameBook() error {
	f, err := os.Open(in.file.Name())
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in.blocks.read(f))
	return errors.Join(err, f.Close())
}

func (in *Input) tableRows(ctx context.Context, content io.Reader, yield func(*Row, error) bool) {
	t, err := in.cells(ctx, content)
	if err != nil {
		yield(nil, err)
		return
	}
	h, err := in.header(t)
	if err != nil {
		if err != io.EOF {
			yield(nil, in.tableError(1, err))
		}
		return
	}
	line := h.line
	for n := 1; ; n++ {
		cells, err := t.read()
		if err == io.EOF {
			return
		}
		if err != nil {
			err = in.tableError(line, err)
			if !yield(nil, err) {
				return
			}
			if problem, ok := errors.AsType[*Problem](err); !ok || problem.ends {
				return
			}
			continue
		}
		line = cells.Line
		row := &Row{N: n, Line: cells.Line, Chat: new(tasks.Chat), Columns: cells.Cells, marks: cells.marks, table: h, standIn: h.standIn}
		wrong := in.parseCells(row)
		if len(wrong) == 0 {
			wrong = in.finish(row)
		}
		if !in.deliver(row, wrong, yield) {
			return
		}
	}
}

// tableError makes a *Problem of a fault of the file. line is where the last good row begins.
func (in *Input) tableError(line int, err error) error {
	if _, ok := errors.AsType[*Problem](err); ok {
		return err
	}
	_, damaged := errors.AsType[*damagedError](err)
	if damaged || errors.Is(err, errRecordTooLong) {
		p := in.problem(line, "%v", err)
		p.ends = true
		return p
	}
	parse, ok := errors.AsType[*csv.ParseError](err)
	switch {
	case !ok:
		return fmt.Errorf("read %s: %w", in.name, err)
	case errors.Is(err, csv.ErrBareQuote):
		return in.problem(parse.Line, "a quote in the middle of a cell: put the cell into quotes, and double those inside")
	case errors.Is(err, csv.ErrQuote):
		return in.problem(parse.StartLine, "a cell's quotes do not match: one is not closed, or one inside is not doubled")
	}
	return in.problem(parse.Line, "%v", parse.Err)
}

// parseCells fills the row from its cells and returns all errors in them.
func (in *Input) parseCells(row *Row) (wrong []string) {
	h := row.table
	if what := in.evenOut(row); what != "" {
		return []string{what}
	}
	for i, cell := range row.Columns {
		if what := in.wrongText([]byte(cell), h.ownName(i)); what != "" {
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
	if err := in.setQuestion(row); err != nil {
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
func (in *Input) evenOut(row *Row) (wrong string) {
	width := len(row.table.names)
	cells, over := Evened(row.Columns, width)
	switch {
	case over == 0:
		row.Columns = cells
		return ""
	case in.format == XLSX:
		return fmt.Sprintf("cell %s%d stands in a column without a name: the header ends at %s", sheet.Column(over), row.Line, sheet.Column(width))
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
		return i == r.table.question || r.table.means(i) || r.table.isPrompted(i)
	}
	for i := range r.table.names {
		name := r.table.ownName(i)
		if r.mark(i) == sheet.Damaged { // passed through, it would be lost
			wrong = append(wrong, fmt.Sprintf("%s: %s", name, damagedCell(i, r.Line, r.Columns[i])))
		}
		if !used(i) {
			continue
		}
		switch r.mark(i) {
		case sheet.Rounded:
			if r.table.means(i) {
				wrong = append(wrong, fmt.Sprintf("%s: %s is a number whose last digits the spreadsheet has not kept: enter it as text", name, r.Columns[i]))
			}
		case sheet.Fault:
			wrong = append(wrong, fmt.Sprintf("%s: the cell holds the error %s", name, r.Columns[i]))
		case sheet.Unreckoned:
			wrong = append(wrong, name+": the value of the cell's formula is not stored: open the file in a spreadsheet and save it")
		case sheet.Merged:
			wrong = append(wrong, name+": the cell is merged with another: undo that, and fill each cell")
		}
	}
	return wrong
}

// damagedCell says which cell of a sheet cannot be read, and why.
func damagedCell(column, row int, why string) string {
	return fmt.Sprintf("cell %s%d is damaged: %s", sheet.Column(column+1), row, why)
}

func (r *Row) mark(column int) sheet.Mark {
	if column < len(r.marks) {
		return r.marks[column]
	}
	return sheet.Text
}

// setQuestion takes the question from its column, or makes it with the prompt.
func (in *Input) setQuestion(row *Row) error {
	h := row.table
	if in.prompt == nil {
		question := row.Columns[h.question]
		if Blank(question) {
			return fmt.Errorf("%s: %w", h.ownName(h.question), errEmpty)
		}
		row.question = &question
		return nil
	}
	fields := make(map[string]any, len(h.names))
	for i, cell := range row.Columns {
		if name := h.name(i); name != "" {
			if _, there := fields[name]; !there {
				fields[name] = cell
			}
		}
	}
	question, err := in.prompt.fill(fields)
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
