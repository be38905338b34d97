package input

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Problem is one thing wrong with the input.
type Problem struct {
	File string
	Line int // from 1, of an xlsx the sheet's row; 0 = the file as a whole
	What string

	// Rows is how many rows have it, if one Problem stands for all of them. 0 = it is of one row.
	Rows int

	field string // the field that a bot does not support; "" = another problem
	ends  bool   // nothing behind it can be read

	customID string // of the row, where it is known
}

func (p *Problem) Error() string { return p.place() + ": " + p.What }

func (p *Problem) place() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// InvalidInput is all errors of an input. Nothing was asked.
type InvalidInput struct {
	Problems []*Problem // in the order of the file, the first maxProblems of them
	Total    int        // how many there are

	fields map[string]*Problem // by field: those that stand for all rows with it
	kinds  map[string]*ProblemKind
	order  []*ProblemKind // as they were found
}

// ProblemKind counts problems that differ only by the row.
type ProblemKind struct {
	What  string // without quoted values and numbers that differ
	Count int
	First *Problem
}

// Kinds counts the problems by kind, in the order of the file, those beyond Problems included.
func (e *InvalidInput) Kinds() []*ProblemKind { return e.order }

// maxProblems bounds the memory for a file of another kind, in which each line is wrong.
const maxProblems = 100_000

// Error shows one screen: a few problems of each kind, and a sum of the rest. Beyond maxKinds all kinds are one.
const (
	maxShown = 20
	ofAKind  = 10
	maxKinds = 20
)

func (e *InvalidInput) Error() string {
	var lines []string
	shown, next := make(map[string]int), make(map[string]*Problem)
	for _, p := range e.Problems {
		kind := e.group(p)
		switch {
		case len(lines) < maxShown && shown[kind] < ofAKind:
			shown[kind]++
			lines = append(lines, p.Error())
		case next[kind] == nil:
			next[kind] = p
		}
	}
	for _, k := range e.order {
		kind := e.group(k.First)
		n, first := k.Count-shown[kind], cmp.Or(next[kind], k.First)
		switch {
		case n == 1:
			lines = append(lines, "1 more: "+first.Error())
		case n > 1:
			lines = append(lines, fmt.Sprintf("%s more rows: %s; first %s", grouped(n), k.What, first.place()))
		}
	}
	return strings.Join(lines, "\n")
}

func (e *InvalidInput) group(p *Problem) string {
	if kind := kindOf(p); e.kinds == nil || e.kinds[kind] != nil {
		return kind
	}
	return otherKinds
}

// otherKinds is the kind of all problems beyond maxKinds.
const otherKinds = "other problems"

// kindOf is a problem without what differs from row to row.
func kindOf(p *Problem) string {
	if p.field != "" {
		return p.field
	}
	if strings.HasPrefix(p.What, unknownFieldIs) {
		return p.What // its name is what matters
	}
	var b strings.Builder
	for rest := p.What; rest != ""; {
		switch c := rest[0]; {
		case c == '"':
			value, err := strconv.QuotedPrefix(rest)
			if err != nil {
				value = rest[:1]
			}
			rest = rest[len(value):]
			b.WriteString(`"..."`)
		case c >= '0' && c <= '9':
			rest = strings.TrimLeft(rest, "0123456789")
			b.WriteByte('N')
		default:
			b.WriteByte(c)
			rest = rest[1:]
		}
	}
	return b.String()
}

// briefly omits the advice at the end of a long problem: those that are shown have it.
func briefly(what string) string {
	const enough = 60
	if head, _, found := strings.Cut(what, ": "); found && len(what) > enough {
		return head
	}
	return what
}

func (e *InvalidInput) count(p *Problem) {
	if e.kinds == nil {
		e.kinds = make(map[string]*ProblemKind)
	}
	kind := kindOf(p)
	k := e.kinds[kind]
	if k == nil {
		k = &ProblemKind{What: briefly(p.What), First: p}
		if len(e.order) >= maxKinds {
			kind, k.What = otherKinds, otherKinds
			if there := e.kinds[kind]; there != nil {
				k = there
			}
		}
		if k.Count == 0 {
			e.kinds[kind] = k
			e.order = append(e.order, k)
		}
	}
	k.Count++
	if k.What != otherKinds && briefly(p.What) != k.What {
		k.What = briefly(kind) // their values differ
	}
}

func (e *InvalidInput) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// cannotBeAsked is the message for a field that a bot does not support.
func cannotBeAsked(field string, rows int) string {
	const what = "a bot cannot be asked for it: take it out, or go on without it with --unsupported " + UnsupportedDrop
	if rows < 2 {
		return field + ": " + what
	}
	return fmt.Sprintf("%s: %s rows have it, and %s", field, grouped(rows), what)
}

// grouped is a number as 1,000.
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
	e.count(p)
	if len(e.Problems) < maxProblems {
		e.Problems = append(e.Problems, p)
	}
}
