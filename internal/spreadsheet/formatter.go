package spreadsheet

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// What a spreadsheet shows by the locale of its user is shown here as it is in China: dates as 2024-01-15.
var shown = excelize.Options{
	ShortDatePattern: "yyyy-mm-dd",
	LongDatePattern:  "yyyy-mm-dd",
	LongTimePattern:  "hh:mm:ss",
	CultureInfo:      excelize.CultureNameZhCN,
}

// formatter shows values in the number formats of a book. What they look like is excelize's to say: each value goes once
// through the one cell of a workbook that has these styles.
type formatter struct {
	*styles
	days1904 bool // the book's days count from 1904; excelize shows its first 62 days wrongly, so those of workbook count from 1900
	workbook *excelize.File
	style    int // of the cell
}

// daysTo1904 is how far the two ways of counting days are apart.
const daysTo1904 = 1462

const (
	formatterSheet = "Sheet1"
	formatterCell  = "A1"
)

// newFormatter takes the part with the styles too. One that excelize cannot read is damaged.
func newFormatter(s *styles, part []byte, days1904 bool) (*formatter, error) {
	f := &formatter{styles: s, days1904: days1904, workbook: excelize.NewFile(shown)}
	if len(s.formats) == 0 {
		return f, nil
	}
	f.workbook.Styles = nil
	f.workbook.Pkg.Store("xl/styles.xml", part)
	if err := f.workbook.SetCellStyle(formatterSheet, formatterCell, formatterCell, 0); err != nil {
		return nil, errors.Join(damaged(0, "%v", err), f.close())
	}
	return f, nil
}

func (f *formatter) close() error { return f.workbook.Close() }

// number is what a cell of that style shows for a number.
func (f *formatter) number(stored string, style int) (string, error) {
	if f.days1904 && style > 0 && f.isDate(style) && !f.isElapsed(style) {
		if days, err := strconv.ParseFloat(stored, 64); err == nil && days >= 0 {
			stored = strconv.FormatFloat(days+daysTo1904, 'f', -1, 64)
		}
	}
	return f.show(stored, style)
}

// Forms of dates in ISO 8601, which few programs write.
var isoDates = []string{"2006-01-02", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z", "20060102T150405", "20060102T150405Z"}

// date is what a cell of that style shows for a date in ISO 8601.
func (f *formatter) date(stored string, style int) (string, error) {
	for _, layout := range isoDates {
		if at, err := time.Parse(layout, stored); err == nil {
			days := at.Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours() / 24
			return f.show(strconv.FormatFloat(days, 'f', -1, 64), style)
		}
	}
	return stored, nil
}

// text is what a cell of that style shows for a text.
func (f *formatter) text(stored string, style int) (string, error) {
	if stored == "" || !f.changeTexts(style) {
		return stored, nil
	}
	stored = strings.ReplaceAll(stored, "_x", "_x005F_x")
	if stored[0] < utf8.RuneSelf && stored[0] != '_' { // excelize takes 012 for a number, and unescapes texts alone
		stored = fmt.Sprintf("_x%04X_%s", stored[0], stored[1:])
	}
	return f.show(stored, style)
}

func (f *formatter) show(stored string, style int) (string, error) {
	err := f.workbook.SetCellDefault(formatterSheet, formatterCell, stored)
	if err == nil && style != f.style {
		err = f.workbook.SetCellStyle(formatterSheet, formatterCell, formatterCell, style)
		f.style = style
	}
	if err != nil {
		return "", err
	}
	return f.workbook.GetCellValue(formatterSheet, formatterCell)
}

var elapsed = regexp.MustCompile(`(?i)\[[hms]+\]`)

// isElapsed reports whether a style shows how much time has gone by, as [h]:mm does.
func (s *styles) isElapsed(style int) bool {
	return s.formats[style] == 46 || elapsed.MatchString(s.codes[s.formats[style]])
}
