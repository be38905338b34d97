package input

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/internal/usage"
)

// tableFields are the columns that mean something, beside the question's and the custom_id's.
var tableFields = []string{
	fieldBotID, fieldUserID, fieldConversationID, fieldConversationKey, fieldCustomVariables, fieldParameters,
	fieldMetaData, fieldFileURL, fieldFileID, fieldImageURL, fieldImageID, fieldFile, fieldImage,
}

// header is a table's columns.
type header struct {
	line     int
	names    []string // as in the file
	meant    []string // the names that they stand for
	standIn  string   // the name of the column that is used as the question; "" = it has its own
	question int      // -1: there is a prompt
	fields   map[string]int
	prompted map[string]int   // the columns that the prompt names
	params   map[int]runParam // of a workflow's run, by column
	carried  []string         // for each column its name in a record's "input"; "" = it is not in there
	again    bool             // the table is an earlier output: its answers are old
	quoted   bool             // and formulas in it are quoted
}

func (t *table) header(cells cellReader) (*header, error) {
	first, err := cells.read()
	for err == nil && first.Line == 1 && isHint(first.Cells) {
		first, err = cells.read()
	}
	if err != nil {
		return nil, err
	}
	for i, name := range first.Cells {
		if i < len(first.marks) && first.marks[i] == spreadsheet.Damaged {
			return nil, t.file.problem(first.Line, "%s", damagedCell(i, first.Line, name))
		}
		if what := t.decoder.wrongText([]byte(name), name); what != "" {
			return nil, t.file.problem(first.Line, "%s", what)
		}
	}
	h := &header{line: first.Line, names: first.Cells, question: -1, fields: make(map[string]int), prompted: make(map[string]int)}
	h.again = h.isOutput()
	h.quoted = h.again && t.format != XLSX
	own := make([]string, len(h.names))
	for i := range own {
		own[i] = h.ownName(i)
	}
	h.meant = meantNames(own, t.names.known)
	if what := t.assign(h); what != "" {
		return nil, t.file.problem(h.line, "%s", what)
	}
	if what := t.lacks(h, cells); what != "" {
		return nil, t.file.problem(h.line, "%s", what)
	}
	h.carry()
	return h, nil
}

// isOutput reports whether the table is one that a run has written: it has all columns of an answer.
func (h *header) isOutput() bool {
	for _, name := range AnswerNames[:OldColumns] {
		if !slices.Contains(h.names, name) {
			return false
		}
	}
	return true
}

// isAnswer reports whether a column holds an answer of an earlier run and is not used for the question now.
func (h *header) isAnswer(column int) bool {
	if !h.again || column == h.question || h.isPrompted(column) {
		return false
	}
	if strings.HasPrefix(h.names[column], OutputPrefix) {
		return true
	}
	at, there := h.fields[FieldCustomID]
	return slices.Contains(AnswerNames, h.names[column]) && !(there && at == column)
}

func (h *header) isPrompted(column int) bool { return has(h.prompted, column) }

// ownName is a column's name without blanks and quotes.
func (h *header) ownName(column int) string {
	name := strings.TrimSpace(h.names[column])
	if h.quoted {
		name = UnquoteFormula(name)
	}
	return name
}

// assign finds what the columns mean. A column with a meaning must be there once.
func (t *table) assign(h *header) (wrong string) {
	for i := range h.names {
		name := h.meant[i]
		if name == "" {
			continue
		}
		old := h.again && slices.Contains(AnswerNames, name) // used only if it is named
		into, key := h.fields, name
		switch {
		case t.names.run && name != t.names.customID && name != fieldUserID:
			continue
		case t.names.prompt == nil && !t.names.run && name == t.names.question:
			if h.question >= 0 {
				return fmt.Sprintf("column %q is repeated", name)
			}
			h.question = i
			continue
		case name == t.names.customID:
			key = FieldCustomID
		case slices.Contains(tableFields, name) && !old:
		case t.names.prompt != nil && slices.Contains(t.names.prompt.names, name):
			into = h.prompted
		default:
			continue
		}
		if _, twice := into[key]; twice {
			return fmt.Sprintf("column %q is repeated", name)
		}
		into[key] = i
		if t.names.prompt != nil && slices.Contains(t.names.prompt.names, name) {
			h.prompted[name] = i
		}
	}
	return ""
}

// lacks tells which column is missing; "" = none.
func (t *table) lacks(h *header, cells cellReader) (wrong string) {
	var names []string
	for i := range h.names {
		if name := h.meant[i]; name != "" {
			names = append(names, name)
		}
	}
	t.takeStandIn(h)
	if t.names.run {
		wrong = h.runColumns(t.names.params)
	} else if t.names.prompt != nil {
		if wrong = t.names.prompt.missing(names); wrong != "" {
			return wrong
		}
	} else if h.question < 0 {
		return t.lacksColumn(t.names.question, "--question-col", names, cells)
	}
	if wrong != "" {
		return wrong
	}
	if _, there := h.fields[FieldCustomID]; !there && t.names.idNamed {
		return t.lacksColumn(t.names.customID, "--custom-id-col", names, cells)
	}
	return ""
}

// takeStandIn uses a column of another name as the question if it has none and there is exactly one such column.
func (t *table) takeStandIn(h *header) {
	if h.question >= 0 {
		return
	}
	at := -1
	for i := range h.names {
		if t.names.standIn(h.meant[i]) {
			if at >= 0 {
				return
			}
			at = i
		}
	}
	if at >= 0 {
		h.question, h.standIn = at, h.ownName(at)
	}
}

func (t *table) lacksColumn(name, flag string, names []string, cells cellReader) string {
	what := fmt.Sprintf("no column %q: the columns are %s", name, quotedSome(names))
	if either := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !t.names.standIn(name) }); len(either) > 1 && flag == "--question-col" {
		return bothMayBe(either)
	}
	if below := headerBelow(name, cells); below > 0 {
		return fmt.Sprintf("%s; row %d has it: delete the rows above it", what, below)
	}
	if near := usage.Nearest(name, names); near != "" {
		return fmt.Sprintf("%s; did you mean %s %q?", what, flag, near)
	}
	if flag == "--question-col" {
		return what + "; name the question's with --question-col, or make the question of columns with --prompt"
	}
	return what
}

// belowTitle is how many rows below the first are searched for a header.
const belowTitle = 10

// headerBelow looks for the header below a title; 0 = it is not there.
func headerBelow(name string, cells cellReader) int {
	for range belowTitle {
		row, err := cells.read()
		if err != nil {
			return 0
		}
		if slices.ContainsFunc(row.Cells, func(cell string) bool { return sameName(cell, name) }) {
			return row.Line
		}
	}
	return 0
}

// carry names the columns that are passed through. Those without a name, or with one that is taken, get their number.
func (h *header) carry() {
	h.carried = make([]string, len(h.names))
	used := make(map[string]bool)
	for i := range h.names {
		if i == h.question || h.isAnswer(i) || h.means(i) {
			continue
		}
		name := h.ownName(i)
		if name == "" {
			name = "column"
		}
		if name == "column" || used[name] {
			name += "_" + strconv.Itoa(i+1)
		}
		used[name] = true
		h.carried[i] = name
	}
}

func (h *header) means(column int) bool { return has(h.fields, column) }

func has(columns map[string]int, column int) bool {
	for _, i := range columns {
		if i == column {
			return true
		}
	}
	return false
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, name := range names {
		q[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(q, ", ")
}
