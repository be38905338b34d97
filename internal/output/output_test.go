package output_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestTablesForSpreadsheets: a .csv has the mark of UTF-8 where a spreadsheet made the input, and the delimiter that it
// had.
func TestTablesForSpreadsheets(t *testing.T) {
	const answer = ";re: 问;completed;;;5;own RUN-1;chat of 问;;\n"
	comma := strings.ReplaceAll(answer, ";", ",")
	names := "answer;status;error_code;error_msg;token_count;conversation_id;chat_id;asks_back;possible_duplicate\n"
	head := strings.ReplaceAll(names, ";", ",")
	tests := []struct{ name, file, content, output, want string }{
		{"plain", "q.csv", "question,n\n问,1\n", "a.csv", "question,n," + head + "问,1" + comma},
		{"semicolons", "q.csv", "question;n\n问;1\n", "a.csv", "question;n;" + names + "问;1" + answer},
		{"semicolons to tabs", "q.csv", "question;n\n问;1\n", "a.tsv", strings.ReplaceAll("question;n;"+names+"问;1"+answer, ";", "\t")},
		{"GB18030", "q.csv", filetest.Chinese(t, "question,n\n问,1\n"), "a.csv", "\ufeffquestion,n," + head + "问,1" + comma},
		{"a sheet", "q.xlsx", filetest.XLSX(t, [][]any{{"question", "n"}, {"问", 1.5}}, nil), "a.csv", "\ufeffquestion,n," + head + "问,1.5" + comma},
		{"names that are taken", "q.csv", "status,question,input_status,answer\n1,问,2,3\n", "a.csv",
			"input_input_status,question,input_status,input_answer," + head + "1,问,2,3" + comma},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := os.ReadFile(filetest.Ran(t, test.file, test.content, test.output, input.Options{}))
			if err != nil {
				t.Fatal(err)
			}
			if g := filetest.Anonymous(string(got)); g != test.want {
				t.Errorf("got\n%s\nwant\n%s", g, test.want)
			}
		})
	}
}

func TestFormulasAreText(t *testing.T) {
	cells := []struct{ cell, want string }{
		{"=1+1", "'=1+1"}, {"@x", "'@x"}, {"-", "'-"}, {"+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"}, {"＝1+1", "'＝1+1"}, {"-1+2", "'-1+2"},
		{"'=x", "''=x"}, {"-5", "-5"}, {"+1,234.50", "\"+1,234.50\""}, {"-12%", "-12%"}, {"-1.5e-7", "-1.5e-7"}, {"-.5", "-.5"}, {"a=b", "a=b"},
		{"'quoted'", "'quoted'"}, {"-Inf", "'-Inf"}, {"-0x10", "'-0x10"}, {"\"\t=1\"", "'\t=1"},
	}
	content, want := "question,cell\n", []string(nil)
	for _, c := range cells {
		cell := c.cell
		if strings.Contains(cell, ",") {
			cell = `"` + cell + `"`
		}
		content += "x," + cell + "\n"
		want = append(want, "x,"+c.want+",re: x")
	}
	path := filetest.Ran(t, "q.csv", content, "a.csv", input.Options{})
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")[1:]
	for i, line := range lines {
		if !strings.HasPrefix(strings.ReplaceAll(line, "\"'\t=1\"", "'\t=1"), want[i]) {
			t.Errorf("got %s, want %s", line, want[i])
		}
	}
	// Read as an input, the table is what it was before.
	i := 0
	for row, err := range filetest.Open(t, "a.csv", string(got), input.Options{}).Rows() {
		if err != nil {
			t.Fatal(err)
		}
		if cell := strings.Trim(cells[i].cell, `"`); row.Columns[1] != cell {
			t.Errorf("read again: %q, want %q", row.Columns[1], cell)
		}
		i++
	}
}

// TestSheetKeepsNumbers: what was a number is one, what was text is text, whatever it looks like.
func TestSheetKeepsNumbers(t *testing.T) {
	path := filetest.Ran(t, "q.xlsx", filetest.XLSX(t, [][]any{{"question", "price", "id", "zip", "long"}, {"=x", 12.5, "734286681234512345", "00123", int64(734286681234512345)}}, nil), "a.xlsx", input.Options{})
	f, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for cell, want := range map[string]struct {
		value string
		kind  excelize.CellType
	}{
		"A2": {"=x", excelize.CellTypeInlineString}, "B2": {"12.5", excelize.CellTypeUnset}, "C2": {"734286681234512345", excelize.CellTypeInlineString},
		"D2": {"00123", excelize.CellTypeInlineString}, "E2": {"734286681234512345", excelize.CellTypeInlineString},
		"F2": {"re: =x", excelize.CellTypeInlineString}, "J2": {"5", excelize.CellTypeUnset},
	} {
		value, err := f.GetCellValue("Sheet1", cell, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		kind, err := f.GetCellType("Sheet1", cell)
		if err != nil || value != want.value || kind != want.kind {
			t.Errorf("%s: %q of type %d, want %q of type %d (%v)", cell, value, kind, want.value, want.kind, err)
		}
	}
}

func TestTooLongForASheet(t *testing.T) {
	// A cell of the input is told before anything is asked.
	book := filetest.NewBook()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), book)
	path := filepath.Join(t.TempDir(), "a.xlsx")
	in := filetest.Open(t, "q.csv", "question,note\nx,"+strings.Repeat("好", 32768)+"\n", input.Options{})
	_, err := l.NewJob(in, path).Run(t.Context())
	if _, ok := errors.AsType[*input.InvalidInput](err); !ok || strings.TrimPrefix(err.Error(), in.Name()) != ":2: note: 32768 characters, a cell of an .xlsx takes 32767: write to a .csv or .jsonl" {
		t.Errorf("a long cell: %.200v", err)
	}
	if len(book.Taken) > 0 {
		t.Errorf("%d questions were asked", len(book.Taken))
	}

	// An answer is known when it is paid for: it must not be lost.
	content := strings.Repeat("x", 32767) + "\n"
	_, err = l.NewJob(filetest.Open(t, "q.txt", content, input.Options{}), path).Run(t.Context())
	other := strings.TrimSuffix(path, ".xlsx") + ".jsonl"
	if err == nil || !strings.Contains(err.Error(), "row 1: a text has 32771 characters, a cell of an .xlsx takes 32767: rename "+path+".partial to "+other+".partial and give the same command with -o "+other) {
		t.Fatalf("a long answer: %.300v", err)
	}
	if err := os.Rename(path+".partial", other+".partial"); err != nil {
		t.Fatal(err)
	}
	if s, err := l.NewJob(filetest.Open(t, "q.txt", content, input.Options{}), other).Run(t.Context()); err != nil || s.Resumed != 1 || s.Asked != 0 {
		t.Errorf("written as another: %+v, %v", s, err)
	}
	if len(book.Taken) != 1 {
		t.Errorf("%d questions were asked, want 1", len(book.Taken))
	}
}
