package batch

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrLocked is wrapped by the error of a run whose journal another process is writing.
var ErrLocked = errors.New("another run is writing it")

// UsageError is a mistake in what was asked for, found before anything was read or asked.
type UsageError struct {
	What string // what is wrong, naming the file
	Hint string // what to do
}

func (e *UsageError) Error() string { return e.What + ": " + e.Hint }

// ChangedError says that a run cannot go on, as it was begun with another input.
type ChangedError struct {
	File string // the journal, or the OUTPUT whose failed rows were to be asked again
	What string // what differs
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s belongs to another input (%s): give the input as it was, write to another file, or start over with --force", e.File, e.What)
}

// Problem is one thing wrong with the input.
type Problem struct {
	File string
	Line int // from 1, of an xlsx the sheet's row; 0 = the file as a whole
	What string

	// Rows is how many rows have it, where one Problem, of the first, stands for all of them. 0 = for its own.
	Rows int

	field string // what the row has and a bot cannot be asked for; "" = another problem
	ends  bool   // nothing behind it can be read

	customID string // of the row, where it is known
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What)
}

// InvalidInput is everything wrong with an input. Nothing was asked.
type InvalidInput struct {
	Problems []*Problem // in the order of the file, the first maxProblems of them
	Total    int        // how many there are

	fields map[string]*Problem // by field: those that stand for all rows which have it
}

// maxProblems bounds the memory that a file of another kind costs, each line of which is wrong.
const maxProblems = 100_000

// maxShown is how many problems Error prints: a screen.
const maxShown = 20

func (e *InvalidInput) Error() string {
	var b strings.Builder
	for i, p := range e.Problems[:min(len(e.Problems), maxShown)] {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
	}
	if e.Total > maxShown {
		fmt.Fprintf(&b, "\nand %d more", e.Total-maxShown)
	}
	return b.String()
}

// Unwrap returns the problems.
func (e *InvalidInput) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// cannotBeAsked says of how many rows have a field that a bot cannot be asked for.
func cannotBeAsked(field string, rows int) string {
	const what = "a bot cannot be asked for it: take it out, or go on without it with --unsupported " + UnsupportedDrop
	if rows < 2 {
		return field + ": " + what
	}
	return fmt.Sprintf("%s: %s rows have it, and %s", field, grouped(rows), what)
}

// grouped is a number with its thousands apart, as 1,000.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func (e *InvalidInput) add(p *Problem) {
	if first := e.fields[p.field]; first != nil {
		first.Rows++
		first.What = cannotBeAsked(p.field, first.Rows)
		return
	}
	if p.field != "" {
		if e.fields == nil {
			e.fields = make(map[string]*Problem)
		}
		p.Rows, e.fields[p.field] = 1, p
	}
	e.Total++
	if len(e.Problems) < maxProblems {
		e.Problems = append(e.Problems, p)
	}
}
