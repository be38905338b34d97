package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/parameter"
	"github.com/cozeq/cozeq/internal/usage"
)

// Workflow makes each row the parameters of a workflow's run, in place of a question.
type Workflow struct {
	ID    string
	AppID string
	BotID string // that the workflow works with; empty: none

	// Params name the columns, as NAME=COLUMN or NAME:TYPE=COLUMN. Empty: each column is a parameter of its own name, but
	// for custom_id and user_id. A type may stand behind a column's name, too: see package parameter.
	Params []string
}

// Chatflow is the chatflow that the questions are for.
type Chatflow struct {
	ID    string
	AppID string // empty: the rows' bot is asked through it
}

// runParam is a parameter and the column or field that it is taken from.
type runParam struct{ name, typ, from string }

// param is the parameter of its own name that a column stands for.
func param(column string) runParam {
	name, typ := parameter.Split(column)
	return runParam{name, typ, column}
}

func (w *Workflow) params() (all []runParam, err error) {
	for _, text := range w.Params {
		name, column, ok := strings.Cut(text, "=")
		p := runParam{from: column}
		p.name, p.typ = parameter.Split(name)
		switch {
		case !ok || p.name == "" || column == "":
			return nil, &usage.Error{What: fmt.Sprintf("--param %q, want NAME=COLUMN or NAME:TYPE=COLUMN", text), Hint: "as --param days:int=Days"}
		case slices.ContainsFunc(all, func(other runParam) bool { return other.name == p.name }):
			return nil, &usage.Error{What: fmt.Sprintf("--param names %s twice", p.name), Hint: "give each parameter one column"}
		}
		all = append(all, p)
	}
	return all, nil
}

func (w *Workflow) check(o *Options) error {
	for name, value := range map[string]string{"--question-col": o.QuestionCol, "--prompt": o.Prompt, "--system": o.System} {
		if value != "" {
			return &usage.Error{What: name + " and --workflow: a workflow has no question", Hint: "leave " + name + " out"}
		}
	}
	_, err := w.params()
	return err
}

// runColumns finds the columns that are parameters, and returns what is wrong, "" if nothing is.
func (h *header) runColumns(named []runParam) (wrong string) {
	h.params = make(map[int]runParam)
	var names []string
	for i := range h.names {
		if name := h.ownName(i); name != "" && !h.isAnswer(i) {
			names = append(names, name)
		}
	}
	if len(named) > 0 {
		for _, p := range named {
			i := h.column(p.from)
			if i < 0 {
				what := fmt.Sprintf("no column %q, which --param names for %s: the columns are %s", p.from, p.name, quotedSome(names))
				if near := usage.Nearest(p.from, names); near != "" {
					what += fmt.Sprintf("; did you mean %q?", near)
				}
				return what
			}
			if column := param(h.ownName(i)); p.typ == "text" {
				p.typ = column.typ
			}
			h.params[i] = p
		}
		return ""
	}
	seen := make(map[string]bool)
	for i := range h.names {
		name := h.ownName(i)
		if name == "" || h.means(i) || h.isAnswer(i) {
			continue
		}
		p := param(name)
		if seen[p.name] {
			return fmt.Sprintf("parameter %q is repeated", p.name)
		}
		seen[p.name], h.params[i] = true, p
	}
	return ""
}

func (h *header) column(name string) int {
	for i := range h.names {
		if h.ownName(i) == name {
			return i
		}
	}
	return -1
}

// setParameters takes the parameters from the row's cells. An empty cell leaves its parameter out.
func (t *table) setParameters(row *Row) (wrong []string) {
	all := make(map[string]json.RawMessage)
	for _, i := range slices.Sorted(maps.Keys(row.table.params)) {
		p, cell := row.table.params[i], row.Columns[i]
		if Blank(cell) {
			continue
		}
		var value json.RawMessage
		var err error
		if parameter.IsFile(p.typ) {
			value, _ = json.Marshal(cell)
			err = row.setFiles(p, value)
		} else {
			value, err = parameter.Value(p.typ, cell)
			all[p.name] = value
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", row.table.ownName(i), err))
		}
	}
	row.Chat.Parameters = all
	return wrong
}

// parseRun fills the row from an object: its field parameters, or each field but custom_id and user_id as one.
func (o *objects) parseRun(fields map[string]json.RawMessage, own map[string]string, row *Row) (wrong []string) {
	row.Chat.Parameters = make(map[string]json.RawMessage)
	row.carried = make(map[string]json.RawMessage)
	for _, name := range []string{o.names.customID, fieldUserID} {
		if raw, there := fields[name]; there && messages.Kind(raw) != kindNull {
			if err := o.names.setField(row, name, raw); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
		delete(fields, name)
	}
	set := func(p runParam, raw json.RawMessage) {
		if parameter.IsFile(p.typ) {
			if err := row.setFiles(p, raw); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", p.from, err))
			}
			return
		}
		if text := ""; p.typ != "text" && json.Unmarshal(raw, &text) == nil && messages.Kind(raw) == "a string" {
			value, err := parameter.Value(p.typ, text)
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", p.from, err))
				return
			}
			raw = value
		}
		row.Chat.Parameters[p.name] = raw
	}
	whole, there := fields[fieldParameters]
	if there && len(o.names.params) == 0 {
		all, err := objectOf(whole, "an object")
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", fieldParameters, err))
		}
		row.Chat.Parameters = all
		delete(fields, fieldParameters)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			wrong = append(wrong, fmt.Sprintf("%s: beside parameters, which has all of them", ownName(own, name)))
		}
		return wrong
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		row.carried[ownName(own, name)] = fields[name]
	}
	for _, p := range o.names.params {
		raw, there := row.carried[p.from]
		if !there {
			wrong = append(wrong, fmt.Sprintf("no field %q, which --param names for %s", p.from, p.name))
			continue
		}
		set(p, raw)
	}
	if len(o.names.params) == 0 {
		for _, name := range slices.Sorted(maps.Keys(row.carried)) {
			set(param(name), row.carried[name])
		}
	}
	return wrong
}

func (r *reader) completeAsked(row *Row) (wrong string) {
	o, chat := r.options, row.Chat
	if w := o.Workflow; w != nil {
		chat.WorkflowID, chat.AppID, chat.BotID = w.ID, w.AppID, w.BotID
		return ""
	}
	if c := o.Chatflow; c != nil {
		chat.WorkflowID, chat.AppID, chat.Chatflow = c.ID, c.AppID, true
	}
	chat.OnTurnFailure = o.OnTurnFailure
	if chat.Holder() == "" {
		chat.BotID = o.BotID
	}
	if chat.Holder() == "" {
		return "no bot: give the row a bot_id, or name one for all with --bot or COZE_BOT_ID"
	}
	return ""
}

func (r *Row) parametersText() string {
	text, _ := json.Marshal(r.Chat.Parameters) // they were checked
	return string(text)
}

// OutputPrefix begins the name of a table's column that holds a field of a workflow's output.
const OutputPrefix = "output."

// maxOutputFields bounds the columns that a workflow's outputs get in a table; a sheet has 16,384.
const maxOutputFields = 1000

// AddOutput adds columns for the fields of an answer that is a JSON object and are not known yet.
func (c *Columns) AddOutput(answer string) {
	names, _ := objectFields(answer)
	for _, name := range names {
		if len(c.Output) < maxOutputFields && !slices.Contains(c.Output, name) {
			c.Output = append(c.Output, name)
		}
	}
}

func (c *Columns) OutputNames() []string {
	all := make([]string, len(c.Output))
	for i, name := range c.Output {
		all[i] = OutputPrefix + name
	}
	return all
}

// OutputCells are what an answer has in these columns: texts as they are, other values as JSON. number reports which cells
// are numbers.
func (c *Columns) OutputCells(answer string) (cells []string, number []bool) {
	cells, number = make([]string, len(c.Output)), make([]bool, len(c.Output))
	if len(c.Output) == 0 {
		return cells, number
	}
	_, values := objectFields(answer)
	for i, name := range c.Output {
		raw := values[name]
		text := ""
		switch {
		case len(raw) == 0 || messages.Kind(raw) == kindNull:
		case json.Unmarshal(raw, &text) == nil:
			cells[i] = text
		default:
			cells[i], number[i] = string(raw), messages.Kind(raw) == kindNumber
		}
	}
	return cells, number
}

// objectFields reads a JSON object; names are in its order. Any other text has none.
func objectFields(text string) (names []string, values map[string]json.RawMessage) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, nil
	}
	values = make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		var raw json.RawMessage
		if err = errors.Join(err, dec.Decode(&raw)); err != nil {
			return nil, nil
		}
		if _, twice := values[name.(string)]; !twice {
			names = append(names, name.(string))
		}
		values[name.(string)] = raw
	}
	return names, values
}
