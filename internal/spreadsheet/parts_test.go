package spreadsheet_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/cozeq/cozeq/internal/spreadsheet"
)

// parts unpacks an archive.
func parts(t testing.TB, path string) map[string]string {
	t.Helper()
	in, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	contents := make(map[string]string)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		contents[f.Name] = string(content)
	}
	return contents
}

func packed(t testing.TB, contents map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		entry, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(entry, contents[name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "packed.xlsx")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sst is a part of shared strings.
func sst(items ...string) string {
	return `<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si>` + strings.Join(items, "</si><si>") + "</si></sst>"
}

// TestPartsByRelationship: what a part is called makes no difference, nor does another part that has the usual name.
func TestPartsByRelationship(t *testing.T) {
	for _, size := range []int{1, 2 << 20} { // the library reads texts in two ways
		original := book(t, func(f *excelize.File) {
			date, err := f.NewStyle(&excelize.Style{NumFmt: 14})
			if err != nil {
				t.Fatal(err)
			}
			f.SetSheetRow("Sheet1", "A1", &[]any{"question", "at", strings.Repeat("x", size)})
			f.SetSheetRow("Sheet1", "A2", &[]any{"你好", time.Date(2024, 3, 5, 0, 0, 0, 0, time.UTC)})
			f.SetCellStyle("Sheet1", "B2", "B2", date)
		})
		want := rows(t, original, "Sheet1")
		if !strings.Contains(want, "2: 你好|2024-03-05\n") {
			t.Fatalf("the book reads %.200s", want)
		}
		decoy := map[string]string{"xl/sharedStrings.xml": sst("<t>no</t>", "<t>no</t>", "<t>no</t>", "<t>no</t>"), "xl/styles.xml": "<styleSheet/>"}
		for name, names := range map[string]map[string]string{
			"texts":                {"xl/sharedStrings.xml": "xl/strings.xml"},
			"texts at the root":    {"xl/sharedStrings.xml": "sharedStrings.xml"},
			"texts in capitals":    {"xl/sharedStrings.xml": "xl/SHAREDSTRINGS.XML"},
			"styles":               {"xl/styles.xml": "xl/theme/formats.xml"},
			"styles in capitals":   {"xl/styles.xml": "xl/Styles.xml"},
			"the sheet":            {"xl/worksheets/sheet1.xml": "xl/worksheets/Blatt.XML"},
			"all, and they change": {"xl/sharedStrings.xml": "xl/styles.xml", "xl/styles.xml": "xl/sharedStrings.xml"},
			"all":                  {"xl/sharedStrings.xml": "s.xml", "xl/styles.xml": "f.xml", "xl/worksheets/sheet1.xml": "xl/1.xml"},
		} {
			contents := parts(t, original)
			rels := contents["xl/_rels/workbook.xml.rels"]
			moved := maps.Clone(contents)
			for from := range names {
				delete(moved, from)
			}
			var pairs []string
			for from, to := range names {
				moved[to] = contents[from]
				pairs = append(pairs, `"/`+from+`"`, `"/`+to+`"`, `"`+strings.TrimPrefix(from, "xl/")+`"`, `"/`+to+`"`)
			}
			moved["xl/_rels/workbook.xml.rels"] = strings.NewReplacer(pairs...).Replace(rels)
			if got := rows(t, packed(t, moved), "Sheet1"); got != want {
				t.Errorf("%s: got\n%.200s\nwant\n%.200s", name, got, want)
			}
			for from, content := range decoy {
				if to := names[from]; to != "" && !strings.EqualFold(from, to) && moved[from] == "" {
					moved[from] = content
				}
			}
			if got := rows(t, packed(t, moved), "Sheet1"); got != want {
				t.Errorf("%s, beside others of the usual names: got\n%.200s\nwant\n%.200s", name, got, want)
			}
		}
	}
}

// TestDamagedCells: what cannot be read is a damaged cell, and neither an empty one nor another text or number.
func TestDamagedCells(t *testing.T) {
	const styles = `<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="3"><numFmt numFmtId="172" formatCode="&quot;none&quot;"/><numFmt numFmtId="170" formatCode=";;;"/>` +
		`<numFmt numFmtId="171" formatCode="&quot;Q: &quot;@"/></numFmts><fonts count="1"><font/></fonts>` +
		`<cellXfs count="7"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/><xf numFmtId="180"/><xf numFmtId="41"/><xf numFmtId="172"/></cellXfs></styleSheet>`
	const lacks = `its style 4 has a number format, 180, that the file lacks`
	tests := []struct{ cell, want string }{
		{`<c r="A1" t="s"><v>0</v></c>`, "zero"},
		{`<c r="A1" t="s"><v> 1 </v></c>`, "a\rb _"},
		{`<c r="A1" t="s"/>`, ""},
		{`<c r="A1" t="s"><v>2</v></c>`, ""}, // an empty text
		{`<c r="A1" t="s"><v>8</v></c>`, `it refers to the shared string "8", and the file has 8 A=d`},
		{`<c r="A1" t="s"><v>-1</v></c>`, `it refers to the shared string "-1", and the file has 8 A=d`},
		{`<c r="A1" t="s"><v>x</v></c>`, `it refers to the shared string "x", and the file has 8 A=d`},
		{`<c r="A1" t="s" s="3"><v>0</v></c>`, "Q: zero"},
		{`<c r="A1" t="s" s="5"><v>0</v></c>`, " zero "},
		{`<c r="A1" t="s"><v>3</v></c>`, "rich text"},
		{`<c r="A1" t="s"><v>4</v></c>`, "rich twicehere"},
		{`<c r="A1" t="s"><v>5</v></c>`, "😀"},
		{`<c r="A1" t="s" s="3"><v>6</v></c>`, "Q: _x000D_"},
		{`<c r="A1" t="s" s="3"><v>7</v></c>`, "Q: 012"},
		{`<c r="A1" s="x" t="inlineStr"><is><t>inline</t></is></c>`, "inline"},
		{`<c r="A1" t="inlineStr"><v>x</v></c>`, "its value cannot be read A=d"},
		{`<c r="A1" t="inlineStr"><is><t>in_x000A_line</t></is></c>`, "in\nline"},
		{`<c r="A1" t="str"><f>A2</f><v>one_x000D_&#10;two _x005F_x000D_</v></c>`, "one\r\ntwo _x000D_"},
		{`<c r="A1" t="str"><f>A2</f><v>_xD83D__xDE00_</v></c>`, "😀"},
		{`<c r="A1" s="1"><v>45356</v></c>`, "2024-03-05"},
		{`<c r="A1" s="9"><v>45356</v></c>`, "its style 9 cannot be read A=d"},
		{`<c r="A1" s="x"><v>45356</v></c>`, "its style is no number A=d"},
		{`<c r="A1" s="4"><v>45356</v></c>`, lacks + " A=d"},
		{`<c r="A1" s="2"><v>7</v></c>`, ""}, // as its format says
		{`<c r="A1" s="6"><v>7</v></c>`, "none"},
		{`<c r="A1" t="b"><v>1</v></c>`, "TRUE"},
		{`<c r="A1" t="e"><v>#N/A</v></c>`, "#N/A A=e"},
	}
	shared := sst("<t>zero</t>", `<t xml:space="preserve">a_x000D_b _</t>`, "<t/>", `<r><t xml:space="preserve">rich </t></r><r><rPr><sz val="12"/></rPr><t>text</t></r><rPh sb="0" eb="1"><t>no</t></rPh>`,
		`<r><t>rich </t></r><r><rPr><sz val="12"/></rPr></r><x><t>lost</t></x><t>twice</t><t>here</t>`, "<t>_xD83D__xDE00_</t>", "<t>_x005F_x000D_</t>", "<t>012</t>")
	for _, pad := range []string{"", "<!--" + strings.Repeat("x", 2<<20) + "-->"} { // the library reads texts in two ways
		for _, test := range tests {
			contents := parts(t, book(t, func(f *excelize.File) { f.SetCellValue("Sheet1", "A1", "x") }))
			contents["xl/sharedStrings.xml"] = strings.Replace(shared, "<si>", pad+"<si>", 1)
			contents["xl/styles.xml"] = styles
			contents["xl/worksheets/sheet1.xml"] = `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">` +
				test.cell + `<c r="B1" t="inlineStr"><is><t>end</t></is></c></row></sheetData></worksheet>`
			want := test.want + "|end\n"
			if text, mark, marked := strings.Cut(test.want, " A="); marked {
				want = text + "|end A=" + mark + "\n"
			}
			if got := rows(t, packed(t, contents), "Sheet1"); got != "1: "+want {
				t.Errorf("%s: got %q, want %q", test.cell, got, "1: "+want)
			}
		}
	}
}

// TestDamagedStyles: a part of styles that the library does not take, or that is missing, makes no numbers of dates.
func TestDamagedStyles(t *testing.T) {
	original := book(t, func(f *excelize.File) {
		date, err := f.NewStyle(&excelize.Style{NumFmt: 14})
		if err != nil {
			t.Fatal(err)
		}
		f.SetSheetRow("Sheet1", "A1", &[]any{"text", 7, 45356})
		f.SetCellStyle("Sheet1", "C1", "C1", date)
		f.SetCellStyle("Sheet1", "A1", "A1", date)
	})
	contents := parts(t, original)
	styles := contents["xl/styles.xml"]
	for name, content := range map[string]string{
		"no namespace":      strings.Replace(styles, `xmlns="`, `xmlns:x="`, 1),
		"a size of letters": strings.Replace(styles, `<sz val="`, `<sz val="x`, 1),
		"cut short":         styles[:len(styles)/2],
	} {
		contents["xl/styles.xml"] = content
		b, err := spreadsheet.Open(packed(t, contents))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Unpack(t.Context(), "Sheet1"); err == nil {
			t.Errorf("%s: no error", name)
		} else if _, ok := errors.AsType[*spreadsheet.DamagedError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	delete(contents, "xl/styles.xml")
	want := "1: text|7|its style 1 cannot be read B=n C=d\n"
	if got := rows(t, packed(t, contents), "Sheet1"); got != want {
		t.Errorf("missing: got %q, want %q", got, want)
	}
	contents["xl/styles.xml"] = fmt.Sprintf(`<styleSheet xmlns=%q><cellXfs count="2"><xf numFmtId="14"/><xf numFmtId="0"/></cellXfs></styleSheet>`,
		"http://schemas.openxmlformats.org/spreadsheetml/2006/main")
	want = "1: text|it is a date in a style that is for numbers|45356 B=d C=n\n"
	if got := rows(t, packed(t, contents), "Sheet1"); got != want {
		t.Errorf("dates in the first style: got %q, want %q", got, want)
	}
}

// FuzzCell: a cell in which a value is stored is not empty, but where the text that it refers to is, or its style hides it.
func FuzzCell(f *testing.F) {
	for _, seed := range [][3]string{{"s", "", "0"}, {"s", "0", "99"}, {"s", "2", "1 "}, {"", "1", "45356"}, {"n", "7", "1"}, {"str", "", "_x000D_"}, {"b", "", "2"}, {"d", "1", "2024-03-05"}, {"inlineStr", "", "x"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	contents := parts(f, book(f, func(f *excelize.File) {
		date, _ := f.NewStyle(&excelize.Style{NumFmt: 14})
		f.SetSheetRow("Sheet1", "A1", &[]any{"one", "two"})
		f.SetCellStyle("Sheet1", "A1", "A1", date)
	}))
	f.Fuzz(func(t *testing.T, kind, style, value string) {
		var cell bytes.Buffer
		for i, text := range []string{kind, style, value} {
			cell.WriteString([]string{`<c r="A1" t="`, `" s="`, `"><v>`}[i])
			xml.EscapeText(&cell, []byte(text))
		}
		edited := maps.Clone(contents)
		edited["xl/worksheets/sheet1.xml"] = `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">` +
			cell.String() + `</v></c></row></sheetData></worksheet>`
		got := rows(t, packed(t, edited), "Sheet1")
		if strings.TrimSpace(value) != "" && !strings.HasPrefix(got, "1: ") {
			t.Errorf("%s is %q", cell.String(), got)
		}
	})
}
