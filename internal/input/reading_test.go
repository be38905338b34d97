package input_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
)

func TestReadingIsFoundOut(t *testing.T) {
	tests := []struct {
		name, file, content string
		options             input.Options
		found, want         string
	}{
		{"commas", "q.csv", "question,a;b\nx,\"y;z\"\n", input.Options{}, "", "1@2 1 \"x\" bot=bot\n"},
		{"semicolons, with more commas", "q.csv", "a,b;question;c,d\n1,2;x, y;3,4\n", input.Options{}, "cells separated by semicolons", "1@2 1 \"x, y\" bot=bot\n"},
		{"semicolons in quotes", "q.csv", "\"question\";\"n\"\n\"x;\n\"\"y\"\"\";1\n", input.Options{}, "cells separated by semicolons", "1@2 1 \"x;\\n\\\"y\\\"\" bot=bot\n"},
		{"commas in a .tsv", "q.tsv", "question,n\nx,1\n", input.Options{}, "cells separated by commas", "1@2 1 \"x\" bot=bot\n"},
		{"tabs in a .csv", "q.csv", "n\tquestion\n1\tx, y; z\n", input.Options{}, "cells separated by tabs", "1@2 1 \"x, y; z\" bot=bot\n"},
		{"said", "q.csv", "n;question\n1;x\n", input.Options{Delimiter: ";"}, "", "1@2 1 \"x\" bot=bot\n"},
		{"one column", "q.csv", "question\nx;y\n", input.Options{}, "", "1@2 1 \"x;y\" bot=bot\n"},
		{"the hint of Excel", "q.csv", "SEP=;\r\nquestion;n\r\nx;1\r\n", input.Options{}, "cells separated by semicolons", "1@3 1 \"x\" bot=bot\n"},
		{"the hint of Excel, with commas", "q.csv", "sep=,\nquestion,n\nx,1\n", input.Options{}, "", "1@3 1 \"x\" bot=bot\n"},
		{"the hint decides", "q.csv", "sep=;\na,question,b;c\n1,x,2;3\n", input.Options{Prompt: "{{.c}}"}, "cells separated by semicolons", "1@3 1 \"3\" bot=bot\n"},
		{"an earlier answer is asked", "q.csv", "question,answer,status,error_code,error_msg,token_count,conversation_id,chat_id\nx,'=y,completed,,,1,7,8\n", input.Options{QuestionCol: "answer"}, "", "1@2 1 \"=y\" bot=bot\n"},
		{"by the prompt's columns", "q.csv", "a b,c;d\nx;1\n", input.Options{Prompt: "{{.d}}"}, "cells separated by semicolons", "1@2 1 \"1\" bot=bot\n"},
		{"old Mac", "q.csv", "question,n\r\"x\ry\",1\rz,2\r", input.Options{}, "lines that end in CR", "1@2 1 \"x\\ny\" bot=bot\n2@4 2 \"z\" bot=bot\n"},
		{"old Mac's lines", "q.txt", "one\r\rtwo", input.Options{}, "lines that end in CR", "1@1 1 \"one\" bot=bot\n2@3 2 \"two\" bot=bot\n"},
		{"CR in a cell", "q.csv", "question\n\"x\ry\"\n", input.Options{}, "", "1@2 1 \"x\\ry\" bot=bot\n"},
		{"packed and in Chinese", "q.txt.gz", filetest.Gzipped(t, filetest.Chinese(t, "怎么退货？\n")), input.Options{}, "GB18030", "1@1 1 \"怎么退货？\" bot=bot\n"},
		{"packed, in secret", "q.txt", filetest.Gzipped(t, "one\n"), input.Options{}, "compressed with gzip", "1@1 1 \"one\" bot=bot\n"},
		{"columns by name", "q.csv", "编号,custom_id,问题\na,b,x\n", input.Options{QuestionCol: "问题", CustomIDCol: "编号"}, "", "1@2 a \"x\" bot=bot\n"},
		{"fields by name", "q.jsonl", `{"id":"a","q":"x"}`, input.Options{QuestionCol: "q", CustomIDCol: "id"}, "", "1@1 a \"x\" bot=bot\n"},
		{"names in other letters", "q.csv", " Question ;CUSTOM_ID;Bot_Id\nx;a;7\n", input.Options{}, "cells separated by semicolons", "1@2 a \"x\" bot=7\n"},
		{"a name in its own letters comes first", "q.csv", "Question,question,QUESTION\nx,y,z\n", input.Options{}, "", "1@2 1 \"y\" bot=bot\n"},
		{"a said name in other letters", "q.csv", "frage,n\nx,1\n", input.Options{QuestionCol: "Frage"}, "", "1@2 1 \"x\" bot=bot\n"},
		{"a prompt's names in other letters", "q.csv", "Word,n\nx,1\n", input.Options{Prompt: "{{.word}}!"}, "", "1@2 1 \"x!\" bot=bot\n"},
		{"fields in other letters", "q.jsonl", `{"Question":"x","custom_ID":"a"," user_id":"u"}`, input.Options{}, "", "1@1 a \"x\" bot=bot user=u\n"},
		{"fields in other letters, with a prompt", "q.jsonl", `{"Word":"x"}`, input.Options{Prompt: "{{.word}}"}, "", "1@1 1 \"x\" bot=bot\n"},
		{"another tool's field", "q.jsonl", `{"prompt":"x"}` + "\n" + `{"question":"y"}` + "\n" + `{"Prompt":"z"}`, input.Options{}, `"prompt" is taken for the question, "Prompt" is taken for the question`,
			"1@1 1 \"x\" bot=bot\n2@2 2 \"y\" bot=bot\n3@3 3 \"z\" bot=bot\n"},
		{"another tool's column", "q.tsv", "Query\tn\nx\t1\n", input.Options{}, `"Query" is taken for the question`, "1@2 1 \"x\" bot=bot\n"},
		{"a column that another tool would call the question", "q.csv", "question,input,prompt\nx,y,z\n", input.Options{}, "", "1@2 1 \"x\" bot=bot\n"},
		{"messages of OpenAI", "q.jsonl", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"},{"role":"user","content":[{"type":"text","text":"z"}]}]}`, input.Options{},
			`"messages" is taken for the question`, "1@1 1 \"z\" bot=bot\n"},
		{"messages of Coze", "q.jsonl", `{"messages":[{"role":"user","type":"question","content":"x","content_type":"text"}]}`, input.Options{},
			`"messages" is taken for the question`, "1@1 1 \"x\" bot=bot\n"},
		{"a sheet", "q.xlsx", filetest.XLSX(t, [][]any{{"question", "custom_id", "conversation_key"}, {"x", 7, "k"}, {}, {"y", "08"}}, nil), input.Options{}, "",
			"1@2 7 \"x\" bot=bot key=k\n2@4 08 \"y\" bot=bot\n"},
		{"the second sheet", "q.xlsx", filetest.XLSX(t, nil, func(f *excelize.File) {
			f.NewSheet("Two")
			f.SetSheetRow("Two", "A1", &[]any{"question"})
			f.SetSheetRow("Two", "A2", &[]any{"x"})
		}), input.Options{Sheet: "two"}, "", "1@2 1 \"x\" bot=bot\n"},
		{"one sheet of two", "q.xlsx", filetest.XLSX(t, [][]any{{"question"}, {"x"}}, func(f *excelize.File) { f.NewSheet("Two") }), input.Options{},
			`sheet "Sheet1", one of 2 (--sheet names another)`, "1@2 1 \"x\" bot=bot\n"},
		{"an .xlsx by its format", "q", filetest.XLSX(t, [][]any{{"question"}, {"x"}}, nil), input.Options{Format: "xlsx"}, "", "1@2 1 \"x\" bot=bot\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := filetest.Open(t, test.file, test.content, test.options)
			if got := rows(t, in); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
			if _, err := in.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if got := in.Found(); got != test.found {
				t.Errorf("found %q, want %q", got, test.found)
			}
		})
	}
}

func TestSheetProblems(t *testing.T) {
	tests := []struct {
		name string
		rows [][]any
		more func(f *excelize.File)
		want []string
	}{
		{"empty", nil, nil, []string{": there is no question in it"}},
		{"a title", [][]any{{"问题列表"}, {}, {"id", "question"}}, nil,
			[]string{`:1: no column "question": the columns are "问题列表"; row 3 has it: delete the rows above it`}},
		{"cells", [][]any{{"question", "custom_id", "note"}, {nil, "a"}, {"x", "a", "n"}, {"y", "a"}, {"z", "c", "n", "more"}}, nil, []string{
			":2: question: empty", `:4: custom_id "a" is repeated: row 2 has it too`,
			":5: cell D5 stands in a column without a name: the header ends at C"}},
		{"ids that were numbers", [][]any{{"question", "bot_id", "note"}, {"x", 734286681234512345.0, 734286681234512345.0}, {"x", int64(734286681234512345)}}, nil, []string{
			":2: bot_id: 734286681234512000 is a number whose last digits the spreadsheet has not kept: enter it as text"}},
		{"formula, merged", [][]any{{"question", "conversation_key", "note"}, {"x", "k"}, {"y"}, {nil, "k"}}, func(f *excelize.File) {
			f.MergeCell("Sheet1", "B2", "B3")
			f.MergeCell("Sheet1", "C2", "C4") // carried as it is
			f.SetCellFormula("Sheet1", "A4", "1+1")
		}, []string{
			":3: conversation_key: the cell is merged with another: undo that, and fill each cell",
			":4: question: the value of the cell's formula is not stored: open the file in a spreadsheet and save it"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := filetest.Open(t, "q.xlsx", filetest.XLSX(t, test.rows, test.more), input.Options{})
			_, err := in.Check(t.Context())
			invalid, ok := errors.AsType[*input.InvalidInput](err)
			if !ok {
				t.Fatalf("Check: %v", err)
			}
			var got []string
			for _, p := range invalid.Problems {
				got = append(got, strings.TrimPrefix(p.Error(), in.Name()))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(test.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "q.xlsx")
	if err := os.WriteFile(path, []byte(filetest.XLSX(t, nil, nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := input.Open(path, input.Options{Sheet: "Sheet"})
	if err == nil || err.Error() != path+` has no sheet "Sheet": its sheets are "Sheet1"; did you mean --sheet "Sheet1"?` {
		t.Errorf("a sheet that is not there: %v", err)
	}
}

// TestDamagedCells: whatever column it is in, a cell that cannot be read is neither asked nor carried as an empty one.
func TestDamagedCells(t *testing.T) {
	const space = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	const relation = `<Relationship Id="%s" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="%s"/>`
	relations := func(all ...string) string {
		return `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` + strings.Join(all, "") + "</Relationships>"
	}
	row := func(n, first, second int) string {
		return fmt.Sprintf(`<row r="%[1]d"><c r="A%[1]d" t="s"><v>%[2]d</v></c><c r="B%[1]d" t="s"><v>%[3]d</v></c></row>`, n, first, second)
	}
	for sheet, want := range map[string]string{
		row(1, 0, 1) + row(2, 2, 3):                "",
		row(1, 0, 1) + row(2, 2, 9) + row(3, 9, 3): `:2: note: cell B2 is damaged: it refers to the shared string "9", and the file has 4` + "\n" + `:3: question: cell A3 is damaged: it refers to the shared string "9", and the file has 4`,
		row(1, 9, 1) + row(2, 2, 3):                `:1: cell A1 is damaged: it refers to the shared string "9", and the file has 4`,
		row(1, 0, 1) + row(2, 9, 9):                `:2: question: cell A2 is damaged: it refers to the shared string "9", and the file has 4` + "\n" + `:2: note: cell B2 is damaged: it refers to the shared string "9", and the file has 4`,
	} {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for name, content := range map[string]string{
			"[Content_Types].xml":        `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
			"_rels/.rels":                relations(fmt.Sprintf(relation, "r1", "officeDocument", "xl/workbook.xml")),
			"xl/workbook.xml":            `<workbook ` + space + ` xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>`,
			"xl/_rels/workbook.xml.rels": relations(fmt.Sprintf(relation, "r1", "worksheet", "a.xml"), fmt.Sprintf(relation, "r2", "sharedStrings", "/texts.xml")),
			"xl/a.xml":                   `<worksheet ` + space + `><sheetData>` + sheet + `</sheetData></worksheet>`,
			"texts.xml":                  `<sst ` + space + `><si><t>question</t></si><si><t>note</t></si><si><t>why?</t></si><si><t>n</t></si></sst>`,
		} {
			part, err := w.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(part, content)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		in := filetest.Open(t, "q.xlsx", b.String(), input.Options{})
		_, err := in.Check(t.Context())
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), in.Name(), "")
		}
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", sheet, got, want)
		}
	}
}

// TestGuessIsContradicted: what follows the part that was looked at is in another encoding, or not as it was packed.
func TestGuessIsContradicted(t *testing.T) {
	long := strings.Repeat("你好\n", 100_000)
	packed := filetest.Gzipped(t, strings.Repeat("what is it?\n", 100_000))
	for _, test := range []struct{ name, file, content, want string }{
		{"UTF-8", "q.txt", long + filetest.Chinese(t, "你好\n"), ":100001: not UTF-8: say what it is with --encoding, or save the file as UTF-8"},
		{"GB18030", "q.txt", filetest.Chinese(t, long) + "\xff\n", ":100001: not GB18030, which the file was taken for: say what it is with --encoding, or save it as UTF-8"},
		{"a stray NUL", "q.csv", "question\nhi\x00there\n", `:2: a NUL byte in column "question"`},
		{"a stray NUL in the header", "q.csv", "ques\x00tion\nhi there\n", `:1: a NUL byte in column "ques\x00tion"`},
		{"a stray NUL in a line", "q.jsonl", "{\"question\":\"hi\x00\"}\n", ":1: a NUL byte"},
		{"UTF-16 without an end of a line", "q.txt", "h\x00i\x00", ":1: a NUL byte: if the file is UTF-16, say so with --encoding utf-16le or utf-16be"},
		{"check sum", "q.txt.gz", packed[:len(packed)-8] + "12345678", ":100001: the compressed file is damaged (gzip: invalid checksum)"},
		{"trailing", "q.txt.gz", filetest.Gzipped(t, "one\n") + "garbage, no end", ":2: the compressed file is damaged (gzip: invalid header)"},
		{"first bytes", "q.txt.gz", "\x1f\x8b", ":1: the compressed file is cut short"},
	} {
		in := filetest.Open(t, test.file, test.content, input.Options{})
		_, err := in.Check(t.Context())
		if _, ok := errors.AsType[*input.InvalidInput](err); !ok || strings.TrimPrefix(err.Error(), in.Name()) != test.want {
			t.Errorf("%s: %.300v, want %s", test.name, err, test.want)
		}
	}
}

func TestPackedBombIsBounded(t *testing.T) {
	in := filetest.Open(t, "q.csv.gz", filetest.Gzipped(t, "question\n\""+strings.Repeat("x", 64<<20)), input.Options{})
	_, err := in.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), ":1: the next row has more than 32 MiB: is a quote not closed?") {
		t.Errorf("Check: %.200v", err)
	}
}

func TestFingerprint(t *testing.T) {
	print := func(content string, o input.Options) string {
		in := filetest.Open(t, "q.csv", content, o)
		if _, err := in.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return in.Fingerprint()
	}
	const content = "question,b,id\nx,y,1\n"
	base := print(content, input.Options{})
	if base != print(content, input.Options{Delimiter: "comma", Encoding: "utf8"}) {
		t.Error("what is found out and what is said make a difference")
	}
	seen := map[string]bool{base: true}
	for _, o := range []input.Options{{QuestionCol: "b"}, {CustomIDCol: "id"}, {Prompt: "{{.b}}"}, {Prompt: "{{.b}}!"}, {BotID: "other"}} {
		if p := print(content, o); seen[p] {
			t.Errorf("%+v makes no difference", o)
		} else {
			seen[p] = true
		}
	}
}

func FuzzTSV(f *testing.F) {
	f.Add([]byte("question\tn\r\nx\t1\r\n"))
	f.Add([]byte("sep=;\nquestion;conversation_key;file_url\nx;k;http://x/a.png\n"))
	f.Add([]byte("\xff\xfeq\x00u\x00e\x00s\x00t\x00i\x00o\x00n\x00\n\x00x\x00"))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzRows(t, "q.tsv", content, input.Options{}) })
}

func FuzzText(f *testing.F) {
	f.Add([]byte("one\r\ntwo\r"), "")
	f.Add([]byte(filetest.Chinese(f, "你好\n世界")), "gbk")
	f.Add([]byte("\xfe\xff\x00a\x00\n"), "utf-16be")
	f.Fuzz(func(t *testing.T, content []byte, encoding string) {
		o := input.Options{Encoding: encoding}
		if o.Check() != nil {
			o.Encoding = ""
		}
		fuzzRows(t, "q.txt", content, o)
	})
}
