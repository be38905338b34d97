package batch

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/results"
)

// answerColumns stand behind the input's columns in a table.
var answerColumns = []string{"answer", "status", "error_code", "error_msg", "token_count", "conversation_id", "chat_id"}

func answerCells(r *results.Result) []string {
	cells := make([]string, len(answerColumns))
	cells[0], cells[1] = r.Answer, string(r.Status)
	if e := r.Error; e != nil {
		if e.Code != 0 {
			cells[2] = strconv.Itoa(e.Code)
		}
		cells[3] = e.Message
	}
	if u := r.Usage; u != nil {
		cells[4] = strconv.FormatInt(u.TokenCount, 10)
	}
	cells[5], cells[6] = r.ConversationID, r.ChatID
	return cells
}

// answerOf reads back what answerCells wrote.
func answerOf(cells []string) (*results.Result, error) {
	r := &results.Result{
		Answer: unquoteFormula(cells[0]), Status: results.Status(cells[1]),
		ConversationID: unquoteFormula(cells[5]), ChatID: unquoteFormula(cells[6]),
	}
	if !r.Status.Terminal() {
		return nil, fmt.Errorf("%q is not a status", cells[1])
	}
	if cells[2] != "" || cells[3] != "" {
		r.Error = &results.Failure{Message: unquoteFormula(cells[3])}
		if cells[2] != "" {
			code, err := strconv.Atoi(cells[2])
			if err != nil {
				return nil, fmt.Errorf("%q is not an error's code", cells[2])
			}
			r.Error.Code = code
		}
	}
	if cells[4] != "" {
		n, err := strconv.ParseInt(cells[4], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number of tokens", cells[4])
		}
		r.Usage = &results.Usage{TokenCount: n}
	}
	return r, nil
}

// writeTable writes the input's columns and the answers, in the order of the input. An input without columns has two
// here, custom_id and question.
func (r *run) writeTable(ctx context.Context, w io.Writer) error {
	if r.format == CSV && r.Input.bom {
		// Whoever made the input needs it to see anything but ASCII.
		if _, err := w.Write(utf8BOM); err != nil {
			return err
		}
	}
	table := csv.NewWriter(w)
	if r.format == TSV {
		table.Comma = '\t'
	}
	columns, err := r.Input.columns()
	if err != nil {
		return err
	}
	if err := table.Write(formulasQuoted(columns, answerColumns)); err != nil {
		return err
	}
	records := r.journal.reader()
	rows := 0
	for row, err := range r.Input.Rows() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if rows++; rows > r.total {
			break
		}
		res, err := records.result(row.N)
		if err != nil {
			return err
		}
		if res == nil {
			return fmt.Errorf("row %d has no record", row.N)
		}
		cells := row.Columns
		if cells == nil {
			cells = []string{row.CustomID, row.Question()}
		}
		if err := table.Write(formulasQuoted(cells, answerCells(res))); err != nil {
			return err
		}
	}
	if rows != r.total {
		return fmt.Errorf("%s has changed since it was read first", r.Input.Name())
	}
	table.Flush()
	return table.Error()
}

// columns are the input's names of its columns.
func (in *Input) columns() ([]string, error) {
	if in.format != CSV && in.format != TSV {
		return []string{fieldCustomID, fieldQuestion}, nil
	}
	content := in.content()
	if err := in.skipBOM(content); err != nil {
		return nil, err
	}
	h, err := in.header(newTableReader(content, in.format))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", in.name, err)
	}
	return h.names, nil
}

// formulasQuoted puts a ' before each text that a spreadsheet would run, as people do who type one. A number with a
// sign is no formula.
func formulasQuoted(cells ...[]string) []string {
	var quoted []string
	for _, some := range cells {
		for _, cell := range some {
			if isFormula(cell) {
				cell = "'" + cell
			}
			quoted = append(quoted, cell)
		}
	}
	return quoted
}

func unquoteFormula(cell string) string {
	if text, ok := strings.CutPrefix(cell, "'"); ok && isFormula(text) {
		return text
	}
	return cell
}

func isFormula(cell string) bool {
	if cell == "" || !strings.Contains("=+-@\t\r", cell[:1]) {
		return false
	}
	_, err := strconv.ParseFloat(cell, 64)
	return err != nil
}
