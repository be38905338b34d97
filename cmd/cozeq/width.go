package main

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// columns is how wide a text stands on a terminal: East Asian wide characters and
// emoji take two cells. Those whose width depends on the font, such as … and →, take
// one, as they do in terminals of today in Chinese locales, too.
func columns(s string) int { return displaywidth.String(s) }

// wide reports whether a character takes two cells.
func wide(r rune) bool { return displaywidth.Rune(r) == 2 }

// cut shortens a text to width columns, with … where something is missing.
func cut(s string, width int) string {
	switch {
	case columns(s) <= width:
		return s
	case width < 1:
		return ""
	}
	return displaywidth.TruncateString(s, width, "…")
}

// padded is a text with spaces behind it up to width columns.
func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}
