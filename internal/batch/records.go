package batch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/results"
)

// outputRecords reads back an OUTPUT that is complete.
func (r *run) outputRecords(ctx context.Context) iter.Seq2[*results.Result, error] {
	return func(yield func(*results.Result, error) bool) {
		c, err := r.Input.outputColumns(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		outputFile{path: r.Output, id: c.id}.records(ctx)(yield)
	}
}

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
		if out.format.objects() {
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
	pieces := out.pieces(out.content(), math.MaxInt32)
	for {
		piece, err := pieces.read()
		line, _ := pieces.place()
		if err == io.EOF {
			return
		}
		_, damaged := errors.AsType[*damagedError](err)
		_, broken := errors.AsType[*arrayError](err)
		if damaged || broken {
			yield(nil, notAnOutput(o.path, line+1, err.Error()))
			return
		}
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", o.path, err))
			return
		}
		res := new(results.Result)
		if err := json.Unmarshal(piece, res); err != nil {
			yield(nil, notAnOutput(o.path, line, err.Error()))
			return
		}
		if res.CustomID == "" || !res.Status.Terminal() {
			yield(nil, notAnOutput(o.path, line, "not a record with custom_id and status"))
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
	t, err := out.cells(ctx, out.content())
	var head cellRow
	if err == nil {
		head, err = t.read()
	}
	if err != nil && err != io.EOF {
		yield(nil, notReadable(o.path, out.tableError(1, err)))
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
	for n, line := 1, head.line; ; n++ {
		row, err := t.read()
		if err == io.EOF {
			return
		}
		if err != nil {
			yield(nil, notReadable(o.path, out.tableError(line, err)))
			return
		}
		line = row.line
		if i := slices.Index(row.marks, sheet.Damaged); i >= 0 {
			yield(nil, notAnOutput(o.path, line, damagedCell(i, line, row.cells[i])))
			return
		}
		cells, over := evened(plainCells(out, row.cells), len(names))
		if over > 0 {
			yield(nil, notAnOutput(o.path, line, "not a row of the table"))
			return
		}
		res, err := answerOf(cells[len(cells)-len(answerColumns):])
		if err != nil {
			yield(nil, notAnOutput(o.path, line, err.Error()))
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
	if out.format == XLSX {
		return cells
	}
	for i, cell := range cells {
		cells[i] = unquoteFormula(cell)
	}
	return cells
}
