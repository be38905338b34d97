package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/cli"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
)

// fiveQuestions are those that every fixture holds: Chinese, quotes, newlines, delimiters, an emoji, what looks like a
// formula, and custom_ids with leading zeros.
var fiveQuestions = [][2]string{
	{"007", "怎么退货？"},
	{"0008", "他说：\"你好\", 可以吗; 对吧?"},
	{"id-3", "第一行\n第二行,\t\"引号\""},
	{"734286681234512345", "=SUM(A1:A3) 是什么意思"},
	{"x y", "emoji 😀 还在吗"},
}

// fixture is a file with the five questions and how it is read.
type fixture struct {
	name    string
	content []byte
	args    []string
	stdin   bool
}

// tableText is the five questions as a table, with a column that is carried.
func tableText(t *testing.T, comma rune, crlf bool, header ...string) string {
	t.Helper()
	if header == nil {
		header = []string{"custom_id", "备注", "question"}
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Comma, w.UseCRLF = comma, crlf
	rows := [][]string{header}
	for i, q := range fiveQuestions {
		rows = append(rows, []string{q[0], fmt.Sprintf("备注 %d", i), q[1]})
	}
	if err := w.WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// requestText is the five questions as a batch of OpenAI's.
func requestText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for i, q := range fiveQuestions {
		var content any = q[1]
		if i%2 == 1 {
			content = []any{map[string]string{"type": "text", "text": q[1]}}
		}
		line, err := json.Marshal(map[string]any{
			"custom_id": q[0], "method": "POST", "url": "/v1/chat/completions",
			"body": map[string]any{
				"model": "gpt-4o-mini", "max_tokens": 500,
				"messages": []any{map[string]any{"role": "system", "content": "Be brief."}, map[string]any{"role": "user", "content": content}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func objectText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, q := range fiveQuestions {
		line, err := json.Marshal(map[string]string{"custom_id": q[0], "question": q[1]})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func in(t *testing.T, e encoding.Encoding, text string) []byte {
	t.Helper()
	encoded, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func packed(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func workbook(t *testing.T, build func(f *excelize.File) error) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	if err := build(f); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// plainBook has all as text.
func plainBook(f *excelize.File) error {
	rows := [][]any{{"custom_id", "备注", "question"}}
	for i, q := range fiveQuestions {
		rows = append(rows, []any{q[0], i, q[1]})
	}
	for i, row := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			return err
		}
	}
	return nil
}

// motleyBook is one that people have touched: on the second sheet, from the third row on, with ids that are numbers in a
// format or too long for one, rich text, and columns in another order.
func motleyBook(f *excelize.File) error {
	const sheet = "问题"
	if _, err := f.NewSheet(sheet); err != nil {
		return err
	}
	if err := f.SetSheetRow(sheet, "B3", &[]any{"问题", "日期", "编号"}); err != nil {
		return err
	}
	zeros := func(digits string) *excelize.Style { return &excelize.Style{CustomNumFmt: &digits} }
	for i, q := range fiveQuestions {
		row := i + 4
		err := f.SetCellRichText(sheet, fmt.Sprintf("B%d", row), []excelize.RichTextRun{
			{Text: q[1][:6], Font: &excelize.Font{Bold: true}}, {Text: q[1][6:]},
		})
		if err != nil {
			return err
		}
		if err := f.SetCellValue(sheet, fmt.Sprintf("C%d", row), time.Date(2024, 1, i+1, 0, 0, 0, 0, time.UTC)); err != nil {
			return err
		}
		cell := fmt.Sprintf("D%d", row)
		if strings.Trim(q[0], "0123456789") != "" {
			if err := f.SetCellStr(sheet, cell, q[0]); err != nil {
				return err
			}
			continue
		}
		if err := f.SetCellDefault(sheet, cell, strings.TrimLeft(q[0], "0")); err != nil {
			return err
		}
		if !strings.HasPrefix(q[0], "0") {
			continue
		}
		style, err := f.NewStyle(zeros(strings.Repeat("0", len(q[0]))))
		if err != nil {
			return err
		}
		if err := f.SetCellStyle(sheet, cell, cell, style); err != nil {
			return err
		}
	}
	return nil
}

// foreign has another program make a file of the table in UTF-8; nil where there is none.
func foreign(t *testing.T, table, out string, command ...string) []byte {
	t.Helper()
	program, err := exec.LookPath(command[0])
	if err != nil {
		return nil
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "table.csv"), []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v", command[0], err)
	}
	if out == "" {
		return stdout.Bytes()
	}
	content, err := os.ReadFile(filepath.Join(dir, out))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func fixtures(t *testing.T) []fixture {
	gb := simplifiedchinese.GB18030
	little := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	big := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	const mark = "\ufeff"
	comma, semicolon, tab := tableText(t, ',', false), tableText(t, ';', false), tableText(t, '\t', false)
	chinese := tableText(t, ';', true, "编号", "备注", "问题")
	byName := []string{"--question-col", "问题", "--custom-id-col", "编号"}
	objects := objectText(t)
	var quoted strings.Builder
	quoted.WriteString("\"custom_id\";\"answer\";\"question\"\n")
	for _, q := range fiveQuestions {
		fmt.Fprintf(&quoted, "\"%s\";\"\";\"%s\"\n", q[0], strings.ReplaceAll(q[1], `"`, `""`))
	}
	prompted := strings.ReplaceAll(comma, "custom_id,备注,question", "custom_id,备注,text")
	return []fixture{
		{name: "objects.jsonl", content: []byte(objects)},
		{name: "objects-marked-crlf.jsonl", content: []byte(mark + strings.ReplaceAll(objects, "\n", "\r\n"))},
		{name: "objects-gb18030.jsonl", content: in(t, gb, objects)},
		{name: "objects-utf16le.jsonl", content: in(t, little, mark+objects)},
		{name: "objects.jsonl.gz", content: packed(t, []byte(objects))},
		{name: "array-gb18030.json", content: in(t, gb, "["+strings.ReplaceAll(strings.TrimSpace(objects), "\n", ",")+"]")},
		{name: "objects-in-lines.json", content: []byte(objects)},
		{name: "requests.jsonl", content: []byte(requestText(t)), args: []string{"--system", "drop"}},
		{name: "comma.csv", content: []byte(comma)},
		{name: "comma-marked-crlf.csv", content: []byte(mark + tableText(t, ',', true))},
		{name: "comma-gb18030.csv", content: in(t, gb, comma)},
		{name: "comma-utf16be.csv", content: in(t, big, mark+comma)},
		{name: "semicolon.csv", content: []byte(semicolon)},
		{name: "semicolon-hint.csv", content: []byte("sep=;\r\n" + tableText(t, ';', true))},
		{name: "semicolon-cr-gb18030.csv", content: in(t, gb, strings.ReplaceAll(tableText(t, ';', true), "\r\n", "\r")), args: []string{"--encoding", "gbk"}},
		{name: "quoted.csv", content: []byte(quoted.String())},
		{name: "chinese-gb18030.csv.gz", content: packed(t, in(t, gb, chinese)), args: byName},
		{name: "prompted.csv", content: []byte(prompted), args: []string{"--prompt", "{{.text}}"}},
		{name: "tab.csv", content: in(t, little, mark+tab)},
		{name: "tab.tsv", content: []byte(tab)},
		{name: "tab-unmarked-utf16le.tsv", content: in(t, little, tab)},
		{name: "tab-gb18030.tsv.gz", content: packed(t, in(t, gb, tab)), stdin: true, args: []string{"--format", "tsv.gz"}},
		{name: "plain.xlsx", content: workbook(t, plainBook)},
		{name: "motley.xlsx", content: workbook(t, motleyBook), args: append([]string{"--sheet", "问题"}, byName...)},
		{name: "iconv.csv", content: foreign(t, comma, "", "iconv", "-f", "UTF-8", "-t", "GB18030", "table.csv")},
		// 1/2/2/2/3/2: each of the three columns is text.
		{name: "libreoffice.xlsx", content: foreign(t, comma, "table.xlsx", "soffice", "--headless", "--convert-to", "xlsx", "--infilter=CSV:44,34,UTF8,1,1/2/2/2/3/2", "table.csv")},
	}
}

// TestFixtures: the same five questions in 26 kinds of files give the same five answers.
func TestFixtures(t *testing.T) {
	t.Parallel()
	fake := echo(t)
	want := make(map[string]string)
	for _, q := range fiveQuestions {
		want[q[0]] = echoed(q[1])
	}
	all := fixtures(t)
	if len(all) != 26 {
		t.Errorf("%d fixtures", len(all))
	}
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			if f.content == nil {
				t.Skip("the program that makes it is not installed")
			}
			dir := t.TempDir()
			path, output := filepath.Join(dir, f.name), filepath.Join(dir, "out.jsonl")
			if err := os.WriteFile(path, f.content, 0o600); err != nil {
				t.Fatal(err)
			}
			var stdin []byte
			if f.stdin {
				stdin, path = f.content, "-"
			}
			code, stderr := runFile(t, fake, stdin, append([]string{path, "-o", output}, f.args...)...)
			if code != exitcode.OK {
				t.Fatalf("exit code %d\n%s", code, stderr)
			}
			t.Log(strings.TrimSpace(stderr))
			if got := answers(t, output); !maps.Equal(got, want) {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
}

func echoed(question string) string { return "<" + question + ">" }

// echo is a fake Coze that answers with what it was asked.
func echo(t *testing.T) *cozetest.Server {
	return cozetest.New(t, cozetest.With(cozetest.Config{Answer: echoed}))
}

func runFile(t *testing.T, fake *cozetest.Server, stdin []byte, args ...string) (code int, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	code = cli.Execute(t.Context(), append([]string{"run"}, args...), terminal.Streams{
		In: bytes.NewReader(stdin), Out: io.Discard, Err: &errs, Width: terminal.DefaultWidth,
		Env: func(name string) (string, bool) {
			value, ok := map[string]string{"COZE_API_BASE": fake.URL, "COZE_API_TOKEN": "any", "COZE_BOT_ID": "bot"}[name]
			return value, ok
		},
	})
	return code, errs.String()
}

func answers(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if content, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	got := make(map[string]string)
	for line := range bytes.Lines(content) {
		var r results.Result
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		got[r.CustomID] = r.Answer
	}
	return got
}

// TestOutputsAreInputs: what a run has written in any format is read again as what it was, and asked again it gives the
// same answers, with no column twice.
func TestOutputsAreInputs(t *testing.T) {
	t.Parallel()
	fake := echo(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "questions.csv")
	if err := os.WriteFile(path, []byte(tableText(t, ',', false)), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a.csv", "b.tsv.gz", "c.xlsx", "d.xlsx", "e.csv.gz", "f.tsv", "g.jsonl.gz"} {
		output := filepath.Join(dir, name)
		if code, stderr := runFile(t, fake, nil, path, "-o", output); code != exitcode.OK {
			t.Fatalf("%s: exit code %d\n%s", name, code, stderr)
		}
		if n := asked(fake); n != (i+1)*len(fiveQuestions) {
			t.Errorf("%s: %d questions were asked by then", name, n)
		}
		// It is known for complete.
		if code, stderr := runFile(t, fake, nil, path, "-o", output, "--retry-failed"); code != exitcode.OK || !strings.Contains(stderr, "complete already") {
			t.Errorf("%s again: exit code %d\n%s", name, code, stderr)
		}
		path = output
	}
	want := make(map[string]string)
	for _, q := range fiveQuestions {
		want[q[0]] = echoed(q[1])
	}
	if got := answers(t, path); !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	content, err := os.ReadFile(filepath.Join(dir, "f.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	const header = "custom_id\t备注\tquestion\tanswer\tstatus\terror_code\terror_msg\ttoken_count\tconversation_id\tchat_id\tasks_back\tpossible_duplicate\n"
	if !strings.HasPrefix(strings.TrimPrefix(string(content), "\ufeff"), header) {
		t.Errorf("the last table begins with %.200q", content)
	}
}
