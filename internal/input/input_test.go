package input_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/usage"
)

func rows(t testing.TB, in *input.Input) string {
	t.Helper()
	var b strings.Builder
	for row, err := range in.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		c := row.Chat
		fmt.Fprintf(&b, "%d@%d %s %q bot=%s", row.N, row.Line, row.CustomID, row.Question(), c.BotID)
		for _, field := range []struct{ name, value string }{
			{"user", c.UserID}, {"conversation", c.ConversationID}, {"key", c.ConversationKey},
		} {
			if field.value != "" {
				fmt.Fprintf(&b, " %s=%s", field.name, field.value)
			}
		}
		if len(c.CustomVariables)+len(c.Parameters)+len(c.MetaData) > 0 {
			fmt.Fprintf(&b, " %v %s %v", c.CustomVariables, c.Parameters, c.MetaData)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestRows(t *testing.T) {
	tests := []struct {
		name, file, content string
		options             input.Options
		want                string
	}{
		{
			name: "jsonl", file: "q.jsonl",
			content: "\ufeff" + `{"custom_id":"a","question":"one","bot_id":"7","user_id":"u","conversation_key":"k"}` + "\r\n\n" +
				`{"custom_id":12,"question":"two","custom_variables":{"x":"y"},"parameters":{"p":[1]},"meta_data":{"m":"n"},"user_id":null}` + "\n" +
				`{"additional_messages":[{"role":"user","content":"first"},{"role":"user","content":"last"}],"conversation_id":"9"}`,
			want: `1@1 a "one" bot=7 user=u key=k
2@3 12 "two" bot=bot map[x:y] map[p:[1]] map[m:n]
3@4 3 "last" bot=bot conversation=9
`,
		},
		{
			name: "csv", file: "q.CSV",
			content: "\ufeffcustom_id,question,extra,conversation_key,custom_variables\n" +
				"a,\"one,\n\"\"two\"\"\",x,,\"{\"\"x\"\":\"\"y\"\"}\"\n\n,,,,\n,three,,k,\n",
			want: `1@2 a "one,\n\"two\"" bot=bot map[x:y] map[] map[]
2@6 2 "three" bot=bot key=k
`,
		},
		{
			name: "json array", file: "q.json",
			content: "\ufeff\n[{\"custom_id\":\"a\",\"question\":\"one, [\\\"{\"},\r\n {\"question\": \"two\",\n  \"parameters\": {\"p\": [1]}}\n,{\"question\":\"three\"}]\n",
			want:    "1@2 a \"one, [\\\"{\" bot=bot\n2@3 2 \"two\" bot=bot map[] map[p:[1]] map[]\n3@5 3 \"three\" bot=bot\n",
		},
		{
			name: "json as an object a line", file: "q.json", content: "\n" + `{"question":"one"}` + "\n" + `{"question":"two"}`,
			want: "1@2 1 \"one\" bot=bot\n2@3 2 \"two\" bot=bot\n",
		},
		{
			name: "csv as Excel leaves out or adds empty cells", file: "q.csv",
			content: "question,custom_id,bot_id\nx,a,7\ny,b\nz\nw,d,,,\nv,e,8, \n",
			want:    "1@2 a \"x\" bot=7\n2@3 b \"y\" bot=bot\n3@4 3 \"z\" bot=bot\n4@5 d \"w\" bot=bot\n5@6 e \"v\" bot=8\n",
		},
		{
			name: "tsv with another column", file: "q.tsv", content: "Frage\tbot_id\nwas?\t7\n",
			options: input.Options{QuestionCol: "Frage"},
			want:    "1@2 1 \"was?\" bot=7\n",
		},
		{
			name: "txt", file: "q.txt", content: "\n  one  \r\n \t\n二\n",
			want: "1@2 1 \"  one  \" bot=bot\n2@4 2 \"二\" bot=bot\n",
		},
		{
			name: "format", file: "questions", content: "one", options: input.Options{Format: "txt"},
			want: "1@1 1 \"one\" bot=bot\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := filetest.Open(t, test.file, test.content, test.options)
			for range 2 { // each call begins anew
				if got := rows(t, in); got != test.want {
					t.Errorf("got\n%swant\n%s", got, test.want)
				}
			}
			if _, err := in.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStdinIsReadTwice(t *testing.T) {
	in, err := input.Open("-", input.Options{Stdin: strings.NewReader(`{"question":"one"}`), BotID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	stats, err := in.Check(t.Context())
	if err != nil || stats.Rows != 1 {
		t.Errorf("Check: %+v, %v", stats, err)
	}
	if got, want := rows(t, in), "1@1 1 \"one\" bot=b\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

// TestContent reads what is in memory where no temporary file can be made.
func TestContent(t *testing.T) {
	there := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", there) // Unix
	t.Setenv("TMP", there)    // Windows
	in, err := input.Open("-", input.Options{Content: []byte(`{"question":"one"}`), Stdin: strings.NewReader("not read"), BotID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if err := output.CheckFor(t.Context(), in, there); err != nil {
		t.Error(err)
	}
	for range 2 {
		if got, want := rows(t, in), "1@1 1 \"one\" bot=b\n"; got != want {
			t.Errorf("got %s want %s", got, want)
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name, file, content string
		options             input.Options
		want                []string // after the file's name
	}{
		{"empty", "q.jsonl", "\n\n", input.Options{}, []string{": there is no question in it"}},
		{"header only", "q.csv", "question\n", input.Options{}, []string{": there is no question in it"}},
		{"jsonl", "q.jsonl", `{"question":"ok"}
{"question":"ok"
"text"
null
{"qestion":"?"}
{"customId":"x","question":" "}
{"question":1,"bot_id":7}
{"question":"x","additional_messages":[]}
{"additional_messages":[{"role":"system","content":"x"}]}
{"additional_messages":"hi"}
{"question":"x","meta_data":{"a":1},"parameters":[]}
{"question":"x","conversation_id":"1","conversation_key":"2"}
{"question":"x","colour":"red"}
{"custom_id":{},"question":"x"}
` + "{\"question\":\"\xff\"}\n" + `{"custom_id":"1","question":"again"}`, input.Options{}, []string{
			":2: bad JSON at byte 16: unexpected end of JSON input",
			`:3: want an object, {"question": "..."}, not a string`,
			`:4: want an object, {"question": "..."}, not null`,
			`:5: unknown field "qestion": did you mean question? (known are ` + known + ")",
			`:6: unknown field "customId": did you mean custom_id? (known are ` + known + ")",
			":6: question: empty",
			":7: bot_id: want a string, not a number",
			":7: question: want a string, not a number",
			":8: question and additional_messages: give one of the two",
			`:9: additional_messages[0].role: "system", want user or assistant`,
			":10: additional_messages: want an array of {role, type, content, content_type, meta_data}, not a string",
			`:11: meta_data: "a": want a string, not a number`,
			":11: parameters: want an object, not an array",
			":12: conversation_key: set together with conversation_id: give one of the two",
			`:13: unknown field "colour": known are ` + known + carried,
			":14: custom_id: want a string or a number, not an object",
			":15: not UTF-8: say what it is with --encoding, or save the file as UTF-8",
			`:16: custom_id "1" is repeated: row 1 has it too`,
		}},
		{"csv", "q.csv", "question,custom_id,meta_data\nok,a,\n,b,\nx,a,\nx,a,,y\nx,c,{\nx\"y,d,\n\"x\"y,e,\n", input.Options{}, []string{
			":3: question: empty",
			`:4: custom_id "a" is repeated: row 1 has it too`,
			":5: 4 cells, but the header has 3",
			":6: meta_data: want an object of strings as JSON: unexpected end of JSON input",
			":7: a quote in the middle of a cell: put the cell into quotes, and double those inside",
			":8: a cell's quotes do not match: one is not closed, or one inside is not doubled",
		}},
		{"column", "q.csv", "\nid,Questions\n1,x\n", input.Options{}, []string{
			`:2: no column "question": the columns are "id", "Questions"; did you mean --question-col "Questions"?`,
		}},
		{"another name", "q.jsonl", `{"q":"x","question":"y"}`, input.Options{QuestionCol: "q"}, []string{
			":1: question: has another name in this file, by --question-col or --custom-id-col"}},
		{"names that are nearly one", "q.csv", "Question,QUESTION\nx,y\n", input.Options{}, []string{
			`:1: no column "question": the columns are "Question", "QUESTION"; did you mean --question-col "Question"?`}},
		{"columns that may each be it", "q.csv", "Input,prompt\nx,y\n", input.Options{}, []string{
			`:1: no question: "input", "prompt" may each be it: name the one with --question-col`}},
		{"fields that may each be it", "q.jsonl", `{"prompt":"x","query":"y"}` + "\n" + `{"prompt":"x","question":"y"}` + "\n" + `{"prompt":" "}` + "\n" + `{"input":[]}`, input.Options{}, []string{
			`:1: no question: "prompt", "query" may each be it: name the one with --question-col`,
			`:2: unknown field "prompt": known are ` + known + carried,
			`:3: prompt: empty`,
			`:4: unknown field "input": known are ` + known + carried,
			":4: no question: give it as question, or as additional_messages",
		}},
		{"json array", "q.json", `[{"question":"x"},{"qestion":"y"},"z",{"question":},` + "\n" + `{"question":"v","custom_id":"1"},]`, input.Options{}, []string{
			`:1: item 2: unknown field "qestion": did you mean question? (known are ` + known + ")",
			`:1: item 3: want an object, {"question": "..."}, not a string`,
			":1: item 4: bad JSON at byte 13: invalid character '}' looking for beginning of value",
			`:2: custom_id "1" is repeated: row 1 has it too`,
			":2: item 6: no item: a comma too many",
		}},
		{"json array cut short", "q.json", `[{"question":"x"},` + "\n" + `{"question":"y`, input.Options{}, []string{
			":2: item 2: the array is not closed: the file is cut short, or a quote or a bracket is not closed"}},
		{"json array with a quote too many", "q.json", `[{"question":"x""},` + "\n" + `{"question":"y"}]`, input.Options{}, []string{
			":1: item 1: the array is not closed: the file is cut short, or a quote or a bracket is not closed"}},
		{"json with two arrays", "q.json", `[{"question":"x"}]` + "\n" + `[{"question":"x"}]`, input.Options{}, []string{":2: something stands behind the array"}},
		{"json without any", "q.json", " [ ] ", input.Options{}, []string{": there is no question in it"}},
		{"json array as .jsonl", "q.jsonl", `[{"question":"x"}]`, input.Options{}, []string{
			`:1: want an object, {"question": "..."}, not an array: if the file is one array of objects, say --format json`}},
		{"messages", "q.jsonl", `{"messages":[{"role":"system","content":"x"}]}` + "\n" + `{"messages":"x"}` + "\n" + `{"messages":[],"question":"x"}`, input.Options{}, []string{
			`:1: messages: [0]: role: Coze has no system messages: put its text into the bot's own prompt and say --system drop, or have it before the question with --system prepend`,
			":2: messages: want an array of {role, content}, not a string",
			`:3: unknown field "messages": known are ` + known + carried,
		}},
		{"twice", "q.csv", "question,question\n", input.Options{}, []string{`:1: column "question" is repeated`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := filetest.Open(t, test.file, test.content, test.options)
			_, err := in.Check(t.Context())
			invalid, ok := errors.AsType[*input.InvalidInput](err)
			if !ok {
				t.Fatalf("Check: %v, want an *InvalidInput", err)
			}
			var got []string
			for _, p := range invalid.Problems {
				got = append(got, strings.TrimPrefix(p.Error(), in.Name()))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(test.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
			if invalid.Total != len(test.want) {
				t.Errorf("Total %d, want %d", invalid.Total, len(test.want))
			}
		})
	}
}

const known = "custom_id, question, additional_messages, bot_id, user_id, conversation_id, conversation_key, " +
	"custom_variables, parameters, meta_data, file_url, file_id, image_url, image_id, file, image"

const carried = "; with a --prompt, as '{{.question}}', others are carried through"

func TestNoBot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("why?\n", 25)), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := input.Open(path, input.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, err = in.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "q.txt:1: no bot") || !strings.HasSuffix(err.Error(), "\n15 more rows: no bot; first "+path+":11") {
		t.Errorf("Check: %v", err)
	}
	if n := strings.Count(err.Error(), "\n"); n != 10 {
		t.Errorf("%d lines of problems and one that sums up the rest, want 10", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	plain, archive := filepath.Join(dir, "plain.csv.gz"), filepath.Join(dir, "archive.csv")
	for path, content := range map[string]string{plain: "question\n1\n", archive: "PK\x03\x04..."} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(dir, "folder.csv")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ path, format, want string }{
		{"q.pdf", "", "q.pdf has none of the extensions .jsonl, .json, .csv, .tsv, .xlsx, .txt: say what it is with --format"},
		{"q.xls", "", "q.xls has none of the extensions .jsonl, .json, .csv, .tsv, .xlsx, .txt (save it as .xlsx): say what it is with --format"},
		{"q.xlsx.gz", "", "q.xlsx.gz: an .xlsx is compressed in itself: unpack it with gunzip"},
		{"q", "yaml", `unknown format "yaml": --format takes jsonl, json, csv, tsv, xlsx, txt, with .gz behind it for a compressed one`},
		{plain, "", plain + " is not compressed with gzip: take .gz off its name, or say what it is with --format"},
		{archive, "", archive + " is a zip archive, as an .xlsx is, and no .csv: if it is an .xlsx, say --format xlsx"},
		{dir, "", dir + " is a directory: name a file of questions"},
		{folder, "", folder + " is a directory: name a file of questions"},
	}
	for _, test := range tests {
		_, err := input.Open(test.path, input.Options{Format: test.format})
		if _, ok := errors.AsType[*usage.Error](err); !ok || err.Error() != test.want {
			t.Errorf("Open(%s): %v, want %s", test.path, err, test.want)
		}
	}
	if _, err := input.Open(filepath.Join(dir, "missing.txt"), input.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestUnclosedQuoteStopsEarly(t *testing.T) {
	in := filetest.Open(t, "q.csv", "question\nok\n\"open\n"+strings.Repeat("x,y,z\n", 8<<20), input.Options{})
	_, err := in.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "q.csv:2: the next row has more than 32 MiB: is a quote not closed?") {
		t.Errorf("Check: %.200v", err)
	}
}

func TestLineTooLong(t *testing.T) {
	in := filetest.Open(t, "q.txt", "a\n"+strings.Repeat("x", 33<<20)+"\nb\n", input.Options{})
	_, err := in.Check(t.Context())
	if err == nil || strings.TrimPrefix(err.Error(), in.Name()) != ":2: line is longer than 32 MiB" {
		t.Errorf("Check: %.200v", err)
	}
}

// fuzzRows checks what holds for any content: rows are numbered, have an id, a question and a bot, and what Check
// counts is what Rows yields.
func fuzzRows(t *testing.T, file string, content []byte, o input.Options) {
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	o.BotID = "bot"
	in, err := input.Open(path, o)
	if _, misused := errors.AsType[*usage.Error](err); misused {
		return // what another kind of file begins with
	}
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	n, line, problems := 0, 0, 0
	for row, err := range in.Rows() {
		if err != nil {
			if _, ok := errors.AsType[*input.Problem](err); !ok {
				t.Fatal(err)
			}
			problems++
			continue
		}
		n++
		sameLine := file == "q.json" && row.Line == line // items of an array
		if row.N < n || row.Line <= line && !sameLine || row.CustomID == "" || row.Chat.Validate() != nil || row.Chat.BotID == "" {
			t.Fatalf("row %d: %+v", n, row)
		}
		line = row.Line
	}
	stats, err := in.Check(t.Context())
	if err == nil && (stats.Rows != n || problems > 0 || n == 0) {
		t.Fatalf("Check: %d rows; Rows: %d rows, %d problems", stats.Rows, n, problems)
	}
	if invalid, ok := errors.AsType[*input.InvalidInput](err); ok && invalid.Total < problems {
		t.Fatalf("Check: %d problems; Rows: %d", invalid.Total, problems)
	}
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte(`{"custom_id":"a","question":"one"}` + "\n" + `{"additional_messages":[{"role":"user","content":"x"}]}`))
	f.Add([]byte(`{"Prompt":"x"}` + "\n" + `{"messages":[{"role":"user","content":"x"}]}` + "\n" + `{"query":"x","input":"y","CUSTOM_ID":1}`))
	f.Add([]byte("\xef\xbb\xbf{\"question\":\"x\",\"parameters\":{\"a\":[null]}}\r\n\n{"))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzRows(t, "q.jsonl", content, input.Options{}) })
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`[{"question":"x"}, {"question":"[\"{"},{"messages":[{"role":"user","content":"y"}]} ]`))
	f.Add([]byte("\n[\n {\"question\":\n\"x\\\\\"}, 1, [], \"]\",\n]x"))
	f.Add([]byte(`{"question":"x"}` + "\n" + `{"question":"y"}`))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzRows(t, "q.json", content, input.Options{}) })
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("question,custom_id\n\"a\nb\",1\n,,\n"))
	f.Add([]byte(" Question ,Custom_ID,QUESTION\nx\ny,z,,\n"))
	f.Add([]byte("Prompt;n\nx;1\n"))
	f.Add([]byte("\xef\xbb\xbfquestion,meta_data\nx,\"{\"\"a\"\":\"\"b\"\"}\"\n\"\n"))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzRows(t, "q.csv", content, input.Options{}) })
}
