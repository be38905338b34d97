package spreadsheet

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

var escaped = regexp.MustCompile(`(_x[0-9a-fA-F]{4}_)+`)

// unescape undoes how a spreadsheet writes characters that XML does not hold: _x000D_ is CR, and _x005F_ the _ of a text
// that looks like one. Characters beyond U+FFFF are two halves.
func unescape(text string) string {
	if !strings.Contains(text, "_x") {
		return text
	}
	const size = len("_x000D_")
	return escaped.ReplaceAllStringFunc(text, func(run string) string {
		var units []uint16
		for ; run != ""; run = run[size:] {
			unit, _ := strconv.ParseUint(run[2:6], 16, 16) // the pattern holds nothing else
			units = append(units, uint16(unit))
		}
		return string(utf16.Decode(units))
	})
}
