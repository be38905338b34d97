package batch

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/results"
)

func failed(r *results.Result) bool { return r.Status != results.Completed }

// outputRecords reads back an OUTPUT that is complete. Its errors name what in it cannot be.
func (r *run) outputRecords(content io.Reader) iter.Seq2[*results.Result, error] {
	return func(yield func(*results.Result, error) bool) {
		if r.format == JSONL {
			r.jsonlRecords(content, yield)
		} else {
			r.tableRecords(content, yield)
		}
	}
}

func (r *run) jsonlRecords(content io.Reader, yield func(*results.Result, error) bool) {
	lines := newLineReader(content, math.MaxInt32)
	for {
		line, err := lines.read()
		if err == io.EOF {
			return
		}
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", r.Output, err))
			return
		}
		res := new(results.Result)
		if err := json.Unmarshal(line, res); err != nil {
			yield(nil, notAnOutput(r.Output, lines.n, err.Error()))
			return
		}
		if res.CustomID == "" || !res.Status.Terminal() {
			yield(nil, notAnOutput(r.Output, lines.n, "not a record with custom_id and status"))
			return
		}
		if !yield(res, nil) {
			return
		}
	}
}

// tableRecords makes records of the columns that a table has. The custom_id is the column of that name, or the row's
// number, as it is in an input.
func (r *run) tableRecords(content io.Reader, yield func(*results.Result, error) bool) {
	buffered := bufio.NewReader(content)
	if head, _ := buffered.Peek(len(utf8BOM)); string(head) == string(utf8BOM) {
		_, _ = buffered.Discard(len(utf8BOM)) // they are in the buffer
	}
	t := newTableReader(buffered, r.format)
	names, err := t.read()
	if err != nil && err != io.EOF {
		yield(nil, notAnOutput(r.Output, 1, err.Error()))
		return
	}
	if n := len(names) - len(answerColumns); n < 0 || !slices.Equal(names[n:], answerColumns) {
		yield(nil, notAnOutput(r.Output, 1, "the last columns are not "+list(answerColumns, "")))
		return
	}
	id := slices.IndexFunc(names[:len(names)-len(answerColumns)], func(name string) bool {
		return strings.TrimSpace(name) == fieldCustomID
	})
	for n := 1; ; n++ {
		cells, err := t.read()
		if err == io.EOF {
			return
		}
		if err != nil || len(cells) != len(names) {
			yield(nil, notAnOutput(r.Output, t.line, "not a row of the table"))
			return
		}
		res, err := answerOf(cells[len(cells)-len(answerColumns):])
		if err != nil {
			yield(nil, notAnOutput(r.Output, t.line, err.Error()))
			return
		}
		if id >= 0 {
			res.CustomID = unquoteFormula(strings.TrimSpace(cells[id]))
		}
		res.CustomID = cmp.Or(res.CustomID, strconv.Itoa(n))
		if !yield(res, nil) {
			return
		}
	}
}

// reopen makes a journal of the complete OUTPUT, so that its failed rows can be asked again. OUTPUT stays as it is
// until the new one takes its place.
//
// The journal is written under another name and put into place as a whole: one that holds half of the records would be
// gone on with as if the other half had never been asked. Both files are locked, so that the name is ours throughout.
func (r *run) reopen(ctx context.Context, s source) error {
	output, err := os.Open(r.Output)
	if err != nil {
		return err
	}
	defer output.Close()

	name := r.journal.path
	fresh, err := openJournal(name + temporarySuffix)
	if err != nil {
		return err
	}
	err = r.refill(ctx, fresh, output, s)
	if err == nil {
		err = fresh.file.Sync()
	}
	if err == nil {
		err = os.Rename(fresh.path, name)
	}
	if err != nil {
		return errors.Join(err, fresh.close(), os.Remove(fresh.path))
	}
	fresh.path = name
	err = r.journal.close()
	r.journal = fresh
	return err
}

// refill writes the records of the output into the journal.
func (r *run) refill(ctx context.Context, fresh *journal, output io.Reader, s source) error {
	row, begun := 0, false
	next, stop := iter.Pull2(r.Input.Rows())
	defer stop()
	for res, err := range r.outputRecords(output) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !begun {
			// The run goes by the name that it had, so that its ids go on from those in use.
			id, _, _, ok := parseTaskID(res.ID)
			if !ok {
				id = newRunID()
			}
			if err := fresh.begin(id, s); err != nil {
				return err
			}
			begun = true
		}
		row++
		in, err, ok := next()
		if err != nil {
			return fmt.Errorf("%s has changed while it was read: %w", r.Input.Name(), err)
		}
		if !ok {
			return &ChangedError{File: r.Output, What: fmt.Sprintf("that had other than %d rows", r.total)}
		}
		if in.CustomID != res.CustomID {
			return &ChangedError{File: r.Output, What: fmt.Sprintf("row %d is %q there, now %q", row, res.CustomID, in.CustomID)}
		}
		run, n, ask, ok := parseTaskID(res.ID)
		if !ok || run != fresh.head.Run || n != row {
			res.ID = taskID(fresh.head.Run, row, 1)
		} else if ask > 1 {
			fresh.asks[row] = ask
		}
		line, err := res.Encode()
		if err != nil {
			return err
		}
		if err := fresh.record(row, line); err != nil {
			return err
		}
	}
	if row != r.total {
		return &ChangedError{File: r.Output, What: fmt.Sprintf("that had %d rows, now %d", row, r.total)}
	}
	return nil
}

// sameRows tells, by their number and their custom_ids, whether a complete OUTPUT is of
// this input: somebody who has added questions must not read that all are answered.
// What a question says is not in every OUTPUT, so a changed word goes unnoticed.
func (r *run) sameRows(ctx context.Context) error {
	output, err := os.Open(r.Output)
	if err != nil {
		return err
	}
	defer output.Close()
	next, stop := iter.Pull2(r.outputRecords(output))
	defer stop()
	rows := 0
	for row, err := range r.Input.Rows() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, invalid := errors.AsType[*Problem](err); err != nil && !invalid {
			return err
		}
		if rows++; rows > r.total || row == nil {
			continue
		}
		res, err, ok := next()
		if err != nil {
			return err
		}
		if ok && res.CustomID != row.CustomID {
			return &ChangedError{File: r.Output, What: fmt.Sprintf("row %d is %q there, now %q", rows, res.CustomID, row.CustomID)}
		}
	}
	if rows != r.total {
		return &ChangedError{File: r.Output, What: fmt.Sprintf("that had %d rows, now %d", r.total, rows)}
	}
	return nil
}
