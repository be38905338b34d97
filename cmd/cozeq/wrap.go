package main

import "strings"

// wrapped breaks text into lines of at most width columns behind an indent: at
// spaces, and between wide characters, as Chinese has no spaces.
func wrapped(text, indent string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		space := 1
		for _, piece := range pieces(word) {
			switch {
			case column == 0:
				b.WriteString(indent)
				column = columns(indent)
			case column+space+columns(piece) > width:
				b.WriteString("\n" + indent)
				column = columns(indent)
			default:
				b.WriteString(strings.Repeat(" ", space))
				column += space
			}
			b.WriteString(piece)
			column += columns(piece)
			space = 0
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// Stops that may not begin a line, and brackets that may not end one.
const (
	closing = "，。、；：！？）」』】》〉…％”’,.;:!?)]}%"
	opening = "（「『【《〈“‘([{"
)

// pieces cuts a word where a line may end inside it.
func pieces(word string) []string {
	var cut []string
	var last rune
	begin := 0
	for i, r := range word {
		if i > 0 && (wide(last) || wide(r)) &&
			!strings.ContainsRune(closing, r) && !strings.ContainsRune(opening, last) {
			cut = append(cut, word[begin:i])
			begin = i
		}
		last = r
	}
	return append(cut, word[begin:])
}
