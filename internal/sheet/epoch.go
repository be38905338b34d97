package sheet

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// epoch corrects what the library shows in a workbook whose days count from 1904: other dates than the first 62 days, and
// elapsed times ([h]:mm) that are four years too long. Such a cell is shown as a workbook shows it whose days count from 1900.
type epoch struct {
	styles *styles
	book   *excelize.File // with one cell; nil: not needed so far
	ids    map[int]int    // its style for one of the workbook's
}

// The library is wrong about the days before firstRight. daysTo1904 is how far the two ways of counting are apart.
const (
	firstRight = 62
	daysTo1904 = 1462
)

var elapsed = regexp.MustCompile(`(?i)\[[hms]+\]`)

// corrected is what a cell with that value and style shows; ok is false where the library is right.
func (e *epoch) corrected(value string, style int) (text string, ok bool, err error) {
	if style <= 0 || style >= len(e.styles.formats) || !isDate(e.styles.formats[style], e.styles.code(style)) {
		return "", false, nil
	}
	format := e.styles.formats[style]
	days, err := strconv.ParseFloat(value, 64)
	isElapsed := format == 46 || elapsed.MatchString(e.styles.codes[format])
	if err != nil || days < 0 || days >= firstRight && !isElapsed {
		return "", false, nil
	}
	if !isElapsed {
		days += daysTo1904
	}
	if e.book == nil {
		e.book, e.ids = excelize.NewFile(shown), make(map[int]int)
	}
	id, known := e.ids[style]
	if !known {
		as := &excelize.Style{NumFmt: format}
		if code, own := e.styles.codes[format]; own {
			as = &excelize.Style{CustomNumFmt: &code}
		}
		if id, err = e.book.NewStyle(as); err != nil {
			return "", false, err
		}
		e.ids[style] = id
	}
	err = errors.Join(e.book.SetCellValue("Sheet1", "A1", days), e.book.SetCellStyle("Sheet1", "A1", "A1", id))
	if err == nil {
		text, err = e.book.GetCellValue("Sheet1", "A1")
	}
	return strings.TrimSpace(text), true, err
}

func (e *epoch) close() error {
	if e == nil || e.book == nil {
		return nil
	}
	return e.book.Close()
}
