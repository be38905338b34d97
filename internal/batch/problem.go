package batch

import (
	"errors"
	"fmt"
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

	ends bool // nothing behind it can be read
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

func (e *InvalidInput) add(p *Problem) {
	e.Total++
	if len(e.Problems) < maxProblems {
		e.Problems = append(e.Problems, p)
	}
}
