package batch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/results"
)

// outputFile is an OUTPUT that is complete.
type outputFile struct {
	path   string
	format string // as InputOptions take it; "" = by the extension
	id     string // of a table, the name of the column with the custom_id; "" = there is none
}

// records reads it back, in whatever encoding and with whatever delimiters somebody has saved it since. The errors name
// what in it cannot be.
func (o outputFile) records(ctx context.Context) iter.Seq2[*results.Result, error] {
	return func(yield func(*results.Result, error) bool) {
		out, err := Open(o.path, InputOptions{Format: o.format, QuestionCol: answerColumns[0]})
		if err != nil {
			yield(nil, notReadable(o.path, err))
			return
		}
		if out.Format().objects() {
			o.objectRecords(out, yield)
		} else {
			o.tableRecords(ctx, out, yield)
		}
		_ = out.Close() // nothing was written
	}
}

// notReadable tells an OUTPUT that is none from one that the disk does not give out.
func notReadable(path string, err error) error {
	invalid, ok := errors.AsType[*InvalidInput](err)
	if ok {
		return notAnOutput(path, invalid.Problems[0].Line, invalid.Problems[0].What)
	}
	if problem, ok := errors.AsType[*Problem](err); ok {
		return notAnOutput(path, problem.Line, problem.What)
	}
	if misused, ok := errors.AsType[*UsageError](err); ok {
		return notAnOutput(path, 0, misused.What)
	}
	return err
}

func (o outputFile) objectRecords(out *Input, yield func(*results.Result, error) bool) {
	for piece, err := range out.Pieces() {
		if err != nil {
			yield(nil, notReadable(o.path, err))
			return
		}
		res := new(results.Result)
		if err := json.Unmarshal(piece.Text, res); err != nil {
			yield(nil, notAnOutput(o.path, piece.Line, err.Error()))
			return
		}
		if res.CustomID == "" || !res.Status.Terminal() {
			yield(nil, notAnOutput(o.path, piece.Line, "not a record with custom_id and status"))
			return
		}
		if !yield(res, nil) {
			return
		}
	}
}

// tableRecords makes records of the columns that a table has. The custom_id is the column that the input has it in, or
// the row's number, as it is in an input.
func (o outputFile) tableRecords(ctx context.Context, out *Input, yield func(*results.Result, error) bool) {
	next, stop := iter.Pull2(out.tableCells(ctx))
	defer stop()
	head, err, _ := next()
	if err != nil {
		yield(nil, notReadable(o.path, err))
		return
	}
	names := plainCells(out, head.cells)
	for len(names) > 0 && blank(names[len(names)-1]) {
		names = names[:len(names)-1]
	}
	if n := len(names) - len(answerColumns); n < 0 || !slices.Equal(names[n:], answerColumns) {
		yield(nil, notAnOutput(o.path, max(head.line, 1), "the last columns are not "+list(answerColumns, "")))
		return
	}
	id := -1
	if o.id != "" {
		id = slices.Index(names[:len(names)-len(answerColumns)], o.id)
	}
	for n := 1; ; n++ {
		row, err, more := next()
		if !more {
			return
		}
		if err != nil {
			yield(nil, notReadable(o.path, err))
			return
		}
		if what := row.damaged(); what != "" {
			yield(nil, notAnOutput(o.path, row.line, what))
			return
		}
		cells, over := evened(plainCells(out, row.cells), len(names))
		if over > 0 {
			yield(nil, notAnOutput(o.path, row.line, "not a row of the table"))
			return
		}
		res, err := answerOf(cells[len(cells)-len(answerColumns):])
		if err != nil {
			yield(nil, notAnOutput(o.path, row.line, err.Error()))
			return
		}
		if id >= 0 {
			res.CustomID = strings.TrimSpace(cells[id])
		}
		res.CustomID = cmp.Or(res.CustomID, strconv.Itoa(n))
		if !yield(res, nil) {
			return
		}
	}
}

// plainCells takes off the quotes that formulas have in a csv or tsv.
func plainCells(out *Input, cells []string) []string {
	if out.Format() == XLSX {
		return cells
	}
	for i, cell := range cells {
		cells[i] = unquoteFormula(cell)
	}
	return cells
}

func notAnOutput(path string, line int, what string) error {
	if line > 0 {
		what = fmt.Sprintf("line %d: %s", line, what)
	}
	return &UsageError{
		What: fmt.Sprintf("%s exists and is no output of a run (%s)", path, what),
		Hint: "write to another file, or replace it with --force",
	}
}
