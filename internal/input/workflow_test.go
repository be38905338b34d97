package input_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/usage"
)

// runs reads a file of runs: the parameters of each row, or what is wrong.
func runs(t *testing.T, name, text string, w input.Workflow) (all []string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.ID == "" {
		w.ID = "73"
	}
	in, err := input.Open(path, input.Options{Workflow: &w, BotID: "not used"})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if _, err := in.Check(t.Context()); err != nil {
		return nil, err
	}
	for row, err := range in.Rows() {
		if err != nil {
			return nil, err
		}
		if row.Chat.WorkflowID != w.ID || row.Chat.BotID != w.BotID || row.Question() == "" {
			t.Errorf("row %d: %+v", row.N, row.Chat)
		}
		parameters, _ := json.Marshal(row.Chat.Parameters)
		all = append(all, row.CustomID+string(parameters))
	}
	return all, nil
}

func TestWorkflowRows(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		w          input.Workflow
		want       []string
		wrong      string // part of the error
	}{
		{"a.csv", "custom_id,city,days:int\nx,Berlin,3\n,Paris,\n", input.Workflow{}, []string{`x{"city":"Berlin","days":3}`, `2{"city":"Paris"}`}, ""},
		{"a.csv", "City,question\nBerlin,why?\n", input.Workflow{}, []string{`1{"City":"Berlin","question":"why?"}`}, ""},
		{"a.csv", "City,Days\nBerlin,3\n", input.Workflow{Params: []string{"n:float=Days"}}, []string{`1{"n":3}`}, ""},
		{"a.csv", "City,d:int\nBerlin,3\n", input.Workflow{Params: []string{"n=d:int"}, BotID: "b"}, []string{`1{"n":3}`}, ""},
		{"a.jsonl", `{"city":"Berlin","n":[1]}` + "\n" + `{"custom_id":7,"parameters":{"a":null}}` + "\n", input.Workflow{}, []string{`1{"city":"Berlin","n":[1]}`, `7{"a":null}`}, ""},
		{"a.csv", "days:int,days\n1,2\n", input.Workflow{}, nil, `parameter "days" is repeated`},
		{"a.csv", "days:json\n{\n", input.Workflow{}, nil, "a.csv:2: days:json: want JSON"},
		{"a.jsonl", `{"parameters":{},"x":1}`, input.Workflow{}, nil, "x: beside parameters"},
		{"a.jsonl", `{"x":1}`, input.Workflow{Params: []string{"y=z"}}, nil, `no field "z"`},
		{"a.csv", "x\n1\n", input.Workflow{ID: "7/3"}, nil, "workflow_id"},
		{"a.csv", "x\n1\n", input.Workflow{Params: []string{"x"}}, nil, "want NAME=COLUMN"},
		{"a.csv", "x\n1\n", input.Workflow{Params: []string{"x=x", "x=y"}}, nil, "twice"},
	} {
		got, err := runs(t, tt.name, tt.text, tt.w)
		if tt.wrong == "" && (err != nil || !slices.Equal(got, tt.want)) {
			t.Errorf("%q: %q, %v", tt.text, got, err)
		}
		if tt.wrong != "" && (err == nil || !strings.Contains(text(err), tt.wrong)) {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.wrong)
		}
	}
}

func text(err error) string {
	all := err.Error()
	if invalid, ok := errors.AsType[*input.InvalidInput](err); ok {
		for _, p := range invalid.Problems {
			all += "\n" + p.Error()
		}
	}
	if misused, ok := errors.AsType[*usage.Error](err); ok {
		all += misused.What
	}
	return all
}

// TestOutputColumns: fields keep their order, texts are plain, numbers are marked.
func TestOutputColumns(t *testing.T) {
	c := new(input.Columns)
	for _, answer := range []string{`{"b":"x","a":1.50}`, `not JSON`, `{"c":{"d":[1]},"b":null}`, `[1]`, `{"a":`} {
		c.AddOutput(answer)
	}
	if names := c.OutputNames(); !slices.Equal(names, []string{"output.b", "output.a", "output.c"}) {
		t.Errorf("%q", names)
	}
	cells, numbers := c.OutputCells(`{"c":{"d":[1]},"a":1.50,"b":null}`)
	if !slices.Equal(cells, []string{"", "1.50", `{"d":[1]}`}) || !slices.Equal(numbers, []bool{false, true, false}) {
		t.Errorf("%q, %v", cells, numbers)
	}
	if cells, _ := c.OutputCells("text"); !slices.Equal(cells, []string{"", "", ""}) {
		t.Errorf("%q", cells)
	}
}
