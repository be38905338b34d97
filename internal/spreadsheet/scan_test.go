package spreadsheet

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// FuzzScan: whatever a sheet's XML is, its rows and cells are in order and within Excel's limits, or it is damaged.
func FuzzScan(f *testing.F) {
	f.Add(`<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>`)
	f.Add(`<worksheet><sheetData><row><c><v>1E+300</v></c><c t="b"><v>1</v></c></row><row/></sheetData><mergeCells><mergeCell ref="A1:B2"/></mergeCells></worksheet>`)
	f.Add(`<worksheet><sheetData><row r="5"><c r="C5" s="1" t="s"><v>0</v></c><c r="D5"><f>1</f></c></row></sheetData></worksheet>`)
	f.Fuzz(func(t *testing.T, xml string) {
		s := newScan(strings.NewReader(xml))
		for row := 0; ; row = s.row {
			cells, err := s.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				if _, ok := errors.AsType[*DamagedError](err); !ok {
					t.Fatal(err)
				}
				return
			}
			if s.row <= row || s.row > maxRows {
				t.Fatalf("row %d after %d", s.row, row)
			}
			column := 0
			for _, c := range cells {
				if c.column <= column {
					t.Fatalf("column %d after %d", c.column, column)
				}
				column = c.column
			}
		}
		for _, m := range s.merges {
			if m.Top < 1 || m.Left < 1 || m.Bottom < m.Top || m.Right < m.Left {
				t.Fatalf("merged %+v", m)
			}
		}
	})
}

// FuzzNumber: a number keeps its value, whatever is shown for it, or is shown as it was.
func FuzzNumber(f *testing.F) {
	for _, seed := range [][2]string{
		{"734286681234512345", "7.34286681234512E+17"}, {"7.34286681234512E+17", "734286681234512000"}, {"0.256", "25.60%"},
		{"-5", "-5"}, {"1E999999999", "1E+999999999"}, {"1e-999999999", "0"}, {"0x10", "16"}, {"1/3", "0.33"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, stored, shown string) {
		text, m := number(stored, shown)
		if m == Number && !plainly.MatchString(text) {
			t.Fatalf("number(%q, %q) = %q, said to be a number", stored, shown, text)
		}
		if again, _ := number(stored, text); again != text {
			t.Fatalf("number(%q, %q) = %q, then %q", stored, shown, text, again)
		}
	})
}

func TestRefs(t *testing.T) {
	for ref, want := range map[string][2]int{"A1": {1, 1}, "z26": {26, 26}, "AA7": {27, 7}, "XFD1048576": {16384, 1 << 20}} {
		column, row, ok := parseRef(ref)
		if !ok || column != want[0] || row != want[1] {
			t.Errorf("%s: %d, %d, %v", ref, column, row, ok)
		}
		if name := Column(column); !strings.EqualFold(name, strings.TrimRight(ref, "0123456789")) {
			t.Errorf("column %d is %s", column, name)
		}
	}
	for _, ref := range []string{"", "A", "1", "A0", "XFE1", "A1048577", "é1", "A-1", "AAAAAAAAAAAAAAAA1"} {
		if column, row, ok := parseRef(ref); ok {
			t.Errorf("%q is %d, %d", ref, column, row)
		}
	}
}
