package output

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

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/results"
)

// File is a complete OUTPUT.
type File struct {
	Path   string
	format string // as InputOptions take it; "" = by the extension
	ID     string // of a table, the name of the column with the custom_id; "" = there is none
}

// Records reads it back, in any encoding and with any delimiter in which it was saved since. Its errors name what does not
// belong into an OUTPUT.
func (o File) Records(ctx context.Context) iter.Seq2[*results.Result, error] {
	return func(yield func(*results.Result, error) bool) {
		if o.isParquet() {
			o.parquetRecords(ctx, yield)
			return
		}
		out, err := input.Open(o.Path, input.Options{
			Format: o.format, QuestionCol: input.AnswerNames[0],
			CheckFile: func(string) error { return nil }, // they were uploaded
		})
		if err != nil {
			yield(nil, notReadable(o.Path, err))
			return
		}
		if out.Format().Objects() {
			o.objectRecords(out, yield)
		} else {
			o.tableRecords(ctx, out, yield)
		}
		_ = out.Close() // nothing was written
	}
}

// notReadable is the error for a file that is not an OUTPUT; errors of the disk stay as they are.
func notReadable(path string, err error) error {
	invalid, ok := errors.AsType[*input.InvalidInput](err)
	if ok {
		return notAnOutput(path, invalid.Problems[0].Line, invalid.Problems[0].What)
	}
	if problem, ok := errors.AsType[*input.Problem](err); ok {
		return notAnOutput(path, problem.Line, problem.What)
	}
	if misused, ok := errors.AsType[*usage.Error](err); ok {
		return notAnOutput(path, 0, misused.What)
	}
	return err
}

func (o File) objectRecords(out *input.Input, yield func(*results.Result, error) bool) {
	for piece, err := range out.Pieces() {
		if err != nil {
			yield(nil, notReadable(o.Path, err))
			return
		}
		res := new(results.Result)
		if err := json.Unmarshal(piece.Text, res); err != nil {
			yield(nil, notAnOutput(o.Path, piece.Line, err.Error()))
			return
		}
		if res.CustomID == "" || !res.Status.Terminal() {
			yield(nil, notAnOutput(o.Path, piece.Line, "not a record with custom_id and status"))
			return
		}
		if !yield(res, nil) {
			return
		}
	}
}

// tableRecords makes records of a table's columns. The custom_id is in the input's column for it, or is the row's number.
func (o File) tableRecords(ctx context.Context, out *input.Input, yield func(*results.Result, error) bool) {
	next, stop := iter.Pull2(out.TableCells(ctx))
	defer stop()
	head, err, _ := next()
	if err != nil {
		yield(nil, notReadable(o.Path, err))
		return
	}
	names := plainCells(out, head.Cells)
	for len(names) > 0 && input.Blank(names[len(names)-1]) {
		names = names[:len(names)-1]
	}
	of, err := o.columns(names)
	if err != nil {
		yield(nil, notAnOutput(o.Path, max(head.Line, 1), err.Error()))
		return
	}
	for n := 1; ; n++ {
		row, err, more := next()
		if !more {
			return
		}
		if err != nil {
			yield(nil, notReadable(o.Path, err))
			return
		}
		if what := row.Damaged(); what != "" {
			yield(nil, notAnOutput(o.Path, row.Line, what))
			return
		}
		cells, over := input.Evened(plainCells(out, row.Cells), len(names))
		if over > 0 {
			yield(nil, notAnOutput(o.Path, row.Line, "not a row of the table"))
			return
		}
		res, err := of.record(cells, n)
		if err != nil {
			yield(nil, notAnOutput(o.Path, row.Line, err.Error()))
			return
		}
		if !yield(res, nil) {
			return
		}
	}
}

// places are where a table has what a record needs.
type places struct {
	id     int // the column with the custom_id, -1 if there is none
	answer int // the first one of the answer
}

func (o File) columns(names []string) (places, error) {
	p := places{id: -1}
	for n := len(input.AnswerNames); n >= input.OldColumns; n-- {
		if p.answer = len(names) - n; p.answer < 0 || !slices.Equal(names[p.answer:], input.AnswerNames[:n]) {
			continue
		}
		if o.ID != "" {
			p.id = slices.Index(names[:p.answer], o.ID)
		}
		return p, nil
	}
	return p, errors.New("the last columns are not " + input.List(input.AnswerNames, ""))
}

func (p places) record(cells []string, n int) (*results.Result, error) {
	res, err := answerOf(cells[p.answer:])
	if err != nil {
		return nil, err
	}
	if p.id >= 0 {
		res.CustomID = strings.TrimSpace(cells[p.id])
	}
	res.CustomID = cmp.Or(res.CustomID, strconv.Itoa(n))
	return res, nil
}

// plainCells removes the quotes of formulas in a csv or tsv.
func plainCells(out *input.Input, cells []string) []string {
	if out.Format() == input.XLSX {
		return cells
	}
	for i, cell := range cells {
		cells[i] = input.UnquoteFormula(cell)
	}
	return cells
}

func notAnOutput(path string, line int, what string) error {
	if line > 0 {
		what = fmt.Sprintf("line %d: %s", line, what)
	}
	return &usage.Error{
		What: fmt.Sprintf("%s exists and is no output of a run (%s)", path, what),
		Hint: "write to another file, or replace it with --force",
	}
}
