package terminal

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Columns is how wide a text stands on a terminal: East Asian wide characters and
// emoji take two cells. Those whose width depends on the font, such as … and →, take
// one, as they do in terminals of today in Chinese locales, too.
func Columns(s string) int { return displaywidth.String(s) }

// wide reports whether a character takes two cells.
func wide(r rune) bool { return displaywidth.Rune(r) == 2 }

// Cut shortens a text to width columns, with … where something is missing.
func Cut(s string, width int) string {
	switch {
	case Columns(s) <= width:
		return s
	case width < 1:
		return ""
	}
	return displaywidth.TruncateString(s, width, "…")
}

// Padded is a text with spaces behind it up to width columns.
func Padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Columns(s)))
}
