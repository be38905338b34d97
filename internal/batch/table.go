package batch

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cozeq/cozeq/tasks"
)

// errRecordTooLong stops a reader of csv that looks for the end of a quote.
var errRecordTooLong = errors.New("the next row has more than 32 MiB: is a quote not closed?")

// bounded reads on only while its allowance lasts, so that a quote that is not closed does not swallow the file.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRecordTooLong
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// tableReader reads the rows of a csv or tsv.
type tableReader struct {
	csv    *csv.Reader
	source *bounded
	line   int // on which the last row began
}

func newTableReader(r io.Reader, f Format) *tableReader {
	source := &bounded{r: r, left: maxLine}
	t := &tableReader{csv: csv.NewReader(source), source: source}
	t.csv.FieldsPerRecord = -1 // told by us, with the header's count
	if f == TSV {
		t.csv.Comma = '\t'
	}
	return t
}

// read returns the next row that has anything in it. The error of a row that cannot be read is a *csv.ParseError, and
// the next call goes on behind it.
func (t *tableReader) read() ([]string, error) {
	for {
		t.source.left = maxLine
		cells, err := t.csv.Read()
		if err != nil {
			if parse, ok := errors.AsType[*csv.ParseError](err); ok {
				t.line = parse.StartLine
			}
			return nil, err
		}
		t.line, _ = t.csv.FieldPos(0)
		if slices.ContainsFunc(cells, func(cell string) bool { return !blank(cell) }) {
			return cells, nil
		}
	}
}

// tableFields are the columns that mean something, beside the question's.
var tableFields = []string{
	fieldCustomID, fieldBotID, fieldUserID, fieldConversationID, fieldConversationKey,
	fieldCustomVariables, fieldParameters, fieldMetaData,
}

// header is where the columns are.
type header struct {
	names    []string
	question int
	fields   map[string]int // by name of tableFields
}

// header reads the header row. A header that will not do is a *Problem.
func (in *Input) header(t *tableReader) (*header, error) {
	names, err := t.read()
	if err != nil {
		return nil, err
	}
	h := &header{names: names, question: -1, fields: make(map[string]int)}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if name != in.options.QuestionCol && !slices.Contains(tableFields, name) {
			continue
		}
		_, twice := h.fields[name]
		if twice || name == in.options.QuestionCol && h.question >= 0 {
			return nil, in.problem(t.line, "column %q is there twice", name)
		}
		if name == in.options.QuestionCol {
			h.question = i
		} else {
			h.fields[name] = i
		}
	}
	if h.question >= 0 {
		return h, nil
	}
	what := fmt.Sprintf("no column %q: the columns are %s", in.options.QuestionCol, quoted(names))
	if len(names) == 1 && strings.Contains(names[0], ";") {
		return nil, in.problem(t.line, "%s; cells are separated by %q in a .%s, not by %q", what, string(t.csv.Comma), in.format, ";")
	}
	if near := nearest(in.options.QuestionCol, names); near != "" {
		return nil, in.problem(t.line, "%s; did you mean --question-col %q?", what, near)
	}
	return nil, in.problem(t.line, "%s; name the question's with --question-col", what)
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, name := range names {
		q[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(q, ", ")
}

func (in *Input) tableRows(content io.Reader, yield func(*Row, error) bool) {
	t := newTableReader(content, in.format)
	h, err := in.header(t)
	if err != nil {
		if err != io.EOF {
			yield(nil, in.tableError(t, err))
		}
		return
	}
	for n := 1; ; n++ {
		cells, err := t.read()
		if err == io.EOF {
			return
		}
		if err != nil {
			if err = in.tableError(t, err); !yield(nil, err) {
				return
			}
			if _, ok := errors.AsType[*Problem](err); !ok || t.source.left <= 0 {
				return
			}
			continue
		}
		row := &Row{N: n, Line: t.line, Chat: new(tasks.Chat), Columns: cells}
		wrong := parseCells(cells, h, row)
		if len(wrong) == 0 {
			wrong = in.finish(row)
		}
		if !in.deliver(row, wrong, yield) {
			return
		}
	}
}

// tableError makes a *Problem of what is the file's fault.
func (in *Input) tableError(t *tableReader, err error) error {
	if _, ok := errors.AsType[*Problem](err); ok {
		return err
	}
	if errors.Is(err, errRecordTooLong) {
		return in.problem(t.line, "%v", errRecordTooLong)
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

func parseCells(cells []string, h *header, row *Row) (wrong []string) {
	if len(cells) != len(h.names) {
		return []string{fmt.Sprintf("%d cells, but the header has %d", len(cells), len(h.names))}
	}
	for _, cell := range cells {
		if !utf8.ValidString(cell) {
			return []string{notUTF8}
		}
	}
	question := cells[h.question]
	if blank(question) {
		wrong = append(wrong, fmt.Sprintf("%s: empty", strings.TrimSpace(h.names[h.question])))
	}
	row.Chat.AdditionalMessages = []tasks.Message{tasks.Question(question)}
	for _, name := range tableFields {
		i, there := h.fields[name]
		if !there || blank(cells[i]) {
			continue
		}
		if err := setField(row, name, cellJSON(name, strings.TrimSpace(cells[i]))); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return wrong
}

// cellJSON is a cell as a line of JSON would have it: an object as it stands, anything else a string.
func cellJSON(name, cell string) json.RawMessage {
	switch name {
	case fieldCustomVariables, fieldParameters, fieldMetaData:
		return json.RawMessage(cell)
	}
	raw, _ := json.Marshal(cell) // a string always marshals
	return raw
}
