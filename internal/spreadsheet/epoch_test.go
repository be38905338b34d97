package spreadsheet_test

import (
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// TestFirstDaysOf1904: the library shows the first 62 days of a workbook whose days count from 1904 as other ones.
func TestFirstDaysOf1904(t *testing.T) {
	own, elapsed := `yyyy"年"m"月"d"日"`, "[h]:mm"
	path := book(t, func(f *excelize.File) {
		yes := true
		if err := f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}); err != nil {
			t.Fatal(err)
		}
		styles := []*excelize.Style{{NumFmt: 14}, {NumFmt: 22}, {CustomNumFmt: &own}, {NumFmt: 20}, {CustomNumFmt: &elapsed}, {NumFmt: 1}}
		for column, style := range styles {
			id, err := f.NewStyle(style)
			if err != nil {
				t.Fatal(err)
			}
			for row, serial := range []string{"0", "1.25", "59", "61", "62"} {
				cell, _ := excelize.CoordinatesToCellName(column+1, row+1)
				f.SetCellDefault("Sheet1", cell, serial)
				f.SetCellStyle("Sheet1", cell, cell, id)
			}
		}
	})
	want := `1: 1904-01-01|1904-01-01 00:00|1904年1月1日|00:00|0:00|0 F=n
2: 1904-01-02|1904-01-02 06:00|1904年1月2日|06:00|30:00|1
3: 1904-02-29|1904-02-29 00:00|1904年2月29日|00:00|1416:00|59 F=n
4: 1904-03-02|1904-03-02 00:00|1904年3月2日|00:00|1464:00|61 F=n
5: 1904-03-03|1904-03-03 00:00|1904年3月3日|00:00|1488:00|62 F=n
`
	if got := rows(t, path, "Sheet1"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestUnknownCellType(t *testing.T) {
	path := book(t, func(f *excelize.File) { f.SetSheetRow("Sheet1", "A1", &[]any{"question", 1, true}) })
	path = edit(t, path, "xl/worksheets/sheet1.xml", func(xml string) string {
		return strings.Replace(xml, `<c r="B1"`, `<c r="B1" t="money"`, 1)
	})
	if got, want := rows(t, path, "Sheet1"), "1: question|its type \"money\" is unknown|TRUE B=d\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDays1904WithoutStyles: a workbook may have no styles, and its numbers are numbers.
func TestDays1904WithoutStyles(t *testing.T) {
	path := book(t, func(f *excelize.File) {
		yes := true
		if err := f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}); err != nil {
			t.Fatal(err)
		}
		f.SetCellValue("Sheet1", "A1", 7)
	})
	contents := parts(t, path)
	delete(contents, "xl/styles.xml")
	if got, want := rows(t, packed(t, contents), "Sheet1"), "1: 7 A=n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
