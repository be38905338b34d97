package spreadsheet_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/cozeq/cozeq/internal/spreadsheet"
)

// book makes an .xlsx with excelize and returns its path.
func book(t testing.TB, build func(f *excelize.File)) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	build(f)
	path := filepath.Join(t.TempDir(), "book.xlsx")
	if err := f.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// rows reads a sheet: "NUMBER: cell|cell MARKS" for each row.
func rows(t testing.TB, path, name string) string {
	t.Helper()
	b, err := spreadsheet.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Unpack(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}()
	text := contents(t, table)
	if again := contents(t, table); again != text {
		t.Errorf("read again:\n%s", again)
	}
	return text
}

func contents(t testing.TB, table *spreadsheet.Table) string {
	t.Helper()
	var b strings.Builder
	for r := table.Rows(); ; {
		row, err := r.Read()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%d: %s", row.Number, strings.Join(row.Cells, "|"))
		for column := range row.Marks {
			if m := row.Mark(column); m != spreadsheet.Text {
				fmt.Fprintf(&b, " %s=%c", spreadsheet.Column(column+1), m)
			}
		}
		b.WriteByte('\n')
	}
}

func TestCellsAsPeopleSeeThem(t *testing.T) {
	at := time.Date(2024, 1, 15, 13, 5, 9, 0, time.UTC)
	tests := []struct {
		name   string
		value  any    // a string with = before it is a formula, with # a number as it is stored
		format string // a built-in number, or a code
		want   string
	}{
		{"text", "你好", "", "你好"},
		{"text that looks like a number", "007", "", "007"},
		{"spaces", "  a b ", "", "  a b "},
		{"newline", "a\nb", "", "a\nb"},
		{"whole", 42, "", "42 A=n"},
		{"negative", -5, "", "-5 A=n"},
		{"fraction", "#0.30000000000000004", "", "0.3"},
		{"exact fraction", 0.25, "", "0.25 A=n"},
		{"leading zeros", 7, "000", "007"},
		{"an id", "#734286681234512345", "", "734286681234512345"},
		{"an id in General", "#734286681234512345", "General", "734286681234512345"},
		{"an id shown in full", "#734286681234512345", "1", "734286681234512345"},
		{"an id as Excel keeps it", "#7.34286681234512E+17", "", "734286681234512000 A=r"},
		{"a phone number", "#13800138000", "General", "13800138000 A=n"},
		{"12 digits", "#123456789012", "General", "123456789012 A=n"},
		{"tiny", "#1.5E-7", "", "0.00000015 A=n"},
		{"percent", 0.256, "10", "25.60%"},
		{"thousands", 1234.5, "4", "1,234.50"},
		{"two places", 3, "2", "3.00 A=n"},
		{"rounded", 3.14159, "2", "3.14"},
		{"date", at, "14", "2024-01-15"},
		{"date and time", at, "22", "2024-01-15 13:05"},
		{"Chinese date", at, "31", "2024年1月15日"},
		{"a date's own code", at, `yyyy"年"m"月"d"日"`, "2024年1月15日"},
		{"time", at, "21", "13:05:09"},
		{"true", true, "", "TRUE"},
		{"formula", "=1+1", "", " A=f"},
		{"error", "!#N/A", "", "#N/A A=e"},
	}
	path := book(t, func(f *excelize.File) {
		for i, test := range tests {
			cell := fmt.Sprintf("A%d", i+1)
			text, _ := test.value.(string)
			switch {
			case strings.HasPrefix(text, "="):
				f.SetCellFormula("Sheet1", cell, text[1:])
			case strings.HasPrefix(text, "#"):
				f.SetCellDefault("Sheet1", cell, text[1:])
			default:
				f.SetCellValue("Sheet1", cell, test.value)
			}
			if test.format == "" {
				continue
			}
			style := &excelize.Style{}
			if _, err := fmt.Sscan(test.format, &style.NumFmt); err != nil || strings.Trim(test.format, "0") == "" {
				style = &excelize.Style{CustomNumFmt: &test.format}
			}
			id, err := f.NewStyle(style)
			if err != nil {
				t.Fatal(err)
			}
			f.SetCellStyle("Sheet1", cell, cell, id)
		}
	})
	// excelize writes no errors of its own.
	path = edit(t, path, "xl/worksheets/sheet1.xml", func(xml string) string {
		i := strings.Index(xml, fmt.Sprintf(`<c r="A%d"`, len(tests)))
		return xml[:i] + fmt.Sprintf(`<c r="A%d" t="e"><v>#N/A</v></c></row></sheetData></worksheet>`, len(tests))
	})
	got := strings.Split(rows(t, path, "Sheet1"), "\n")
	at2 := 0
	for i, test := range tests {
		want := fmt.Sprintf("%d: %s", i+1, test.want)
		n := strings.Count(want, "\n") + 1
		if g := strings.Join(got[at2:at2+n], "\n"); g != want {
			t.Errorf("%s: got %q, want %q", test.name, g, want)
		}
		at2 += n
	}
}

func edit(t testing.TB, path, part string, change func(string) string) string {
	t.Helper()
	in, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		if f.Name == part {
			text = change(text)
		}
		entry, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(entry, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	edited := filepath.Join(t.TempDir(), "edited.xlsx")
	if err := os.WriteFile(edited, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return edited
}

func TestRichTextMergesAndGaps(t *testing.T) {
	path := book(t, func(f *excelize.File) {
		f.SetSheetRow("Sheet1", "B2", &[]any{"id", "question", nil, "note"})
		f.SetCellRichText("Sheet1", "C4", []excelize.RichTextRun{{Text: "rich "}, {Text: "文本", Font: &excelize.Font{Bold: true}}})
		f.SetCellValue("Sheet1", "B6", "x")
		f.SetCellValue("Sheet1", "C7", "y")
		f.MergeCell("Sheet1", "B6", "B7")
		f.MergeCell("Sheet1", "E2", "F2")
	})
	want := "2: |id|question||note F=m\n4: ||rich 文本\n6: |x\n7: ||y B=m\n"
	if got := rows(t, path, "Sheet1"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSheets(t *testing.T) {
	path := book(t, func(f *excelize.File) {
		f.NewSheet("问题")
		f.NewSheet("Third")
		f.SetCellValue("问题", "A1", "here")
		f.SetActiveSheet(1)
		f.SetSheetVisible("Sheet1", false)
		f.SetSheetName("Third", "三")
	})
	b, err := spreadsheet.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(b.Sheets(), " "); got != "Sheet1 问题 三" {
		t.Errorf("sheets %s", got)
	}
	if b.First() != "问题" {
		t.Errorf("the first that is shown: %s", b.First())
	}
	if b.Find(" sheet1") != "Sheet1" || b.Find("nope") != "" {
		t.Errorf("found %q and %q", b.Find(" sheet1"), b.Find("nope"))
	}
	if got := rows(t, path, "问题"); got != "1: here\n" {
		t.Errorf("rows %s", got)
	}
}

func TestDamaged(t *testing.T) {
	good := book(t, func(f *excelize.File) {
		for i := range 200 {
			f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &[]any{i, fmt.Sprintf("问题 %d", i)})
		}
	})
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(content []byte) string {
		path := filepath.Join(t.TempDir(), "bad.xlsx")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const part = "xl/worksheets/sheet1.xml"
	for name, test := range map[string]struct{ path, want string }{
		"text":   {file([]byte("question\none\n")), "not an .xlsx, or one that is cut short"},
		"empty":  {file(nil), "not an .xlsx, or one that is cut short"},
		"cut":    {file(content[:len(content)/2]), "not an .xlsx, or one that is cut short"},
		"no xml": {edit(t, good, part, func(string) string { return "" }), "row 1: the sheet is damaged here: EOF"},
		"cut sheet": {
			edit(t, good, part, func(xml string) string { return xml[:strings.Index(xml, `<c r="B100"`)+8] }),
			"row 100: the sheet is damaged here: unexpected EOF",
		},
		"rows in no order": {
			edit(t, good, part, func(xml string) string { return strings.Replace(xml, `<row r="50"`, `<row r="49"`, 1) }),
			`row 50: the sheet is damaged here: row "49"`,
		},
		"cells in no order": {
			edit(t, good, part, func(xml string) string { return strings.Replace(xml, `<c r="B7"`, `<c r="A7"`, 1) }),
			`row 7: the sheet is damaged here: cell "A7"`,
		},
		"no sheet": {
			edit(t, good, "xl/workbook.xml", func(string) string { return "<workbook><sheets/></workbook>" }),
			"there is no sheet in it",
		},
		"a part is missing": {
			edit(t, good, "xl/_rels/workbook.xml.rels", func(xml string) string {
				return strings.Replace(xml, "sheet1.xml", "sheet9.xml", 1)
			}),
			"xl/worksheets/sheet9.xml is missing in it",
		},
	} {
		b, err := spreadsheet.Open(test.path)
		if err == nil {
			var table *spreadsheet.Table
			if table, err = b.Unpack(t.Context(), b.First()); err == nil {
				table.Close()
			}
		}
		bad, ok := errors.AsType[*spreadsheet.DamagedError](err)
		if !ok || !strings.HasPrefix(bad.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	if _, err := spreadsheet.Open(filepath.Join(t.TempDir(), "missing.xlsx")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	b, err := spreadsheet.Open(good)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Unpack(ctx, "Sheet1"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestBitFlipIsFound(t *testing.T) {
	path := book(t, func(f *excelize.File) {
		for i := range 500 {
			f.SetCellValue("Sheet1", fmt.Sprintf("A%d", i+1), fmt.Sprintf("question number %d", i*i))
		}
	})
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"} {
		in, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		var at int64
		for _, f := range in.File {
			if f.Name == part {
				at, _ = f.DataOffset()
				at += int64(f.CompressedSize64) - 40
			}
		}
		in.Close()
		flipped := bytes.Clone(content)
		flipped[at] ^= 0x10
		bad := filepath.Join(t.TempDir(), "bad.xlsx")
		if err := os.WriteFile(bad, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := spreadsheet.Open(bad)
		if err == nil {
			_, err = b.Unpack(t.Context(), "Sheet1")
		}
		if _, ok := errors.AsType[*spreadsheet.DamagedError](err); !ok {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.xlsx")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := spreadsheet.NewWriter(file, []string{"问题", "=answer"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range [][]any{{"=1+1", int64(-5)}, {"a\nb \"c\" <d>", 2.5}, {"00012", "_x0041_"}, {"", "\r\nx "}, {"😀", "734286681234512345"}} {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	long, ok := errors.AsType[*spreadsheet.TooLongError](w.Write([]any{strings.Repeat("😀", spreadsheet.MaxText/2+1)}))
	if !ok || long.Units != spreadsheet.MaxText+1 {
		t.Errorf("a long text: %v", long)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := "1: 问题|=answer\n2: =1+1|-5 B=n\n3: a\nb \"c\" <d>|2.5 B=n\n4: 00012|_x0041_\n5: |\r\nx \n6: 😀|734286681234512345\n"
	if got := rows(t, path, "Sheet1"); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	f, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if formula, err := f.GetCellFormula("Sheet1", "A2"); formula != "" || err != nil {
		t.Errorf("the text =1+1 is the formula %q (%v)", formula, err)
	}
}

func TestDiscard(t *testing.T) {
	w, err := spreadsheet.NewWriter(io.Discard, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Discard(); err != nil {
		t.Error(err)
	}
}
