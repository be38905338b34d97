package terminal

import "strings"

// Wrap breaks text into lines of at most width columns behind an indent: at
// spaces, and between wide characters, as Chinese has no spaces.
func Wrap(text, indent string, width int) string {
	var b strings.Builder
	line := ""
	width -= Columns(indent)
	for word := range strings.FieldsSeq(text) {
		space := " "
		for _, piece := range pieces(word) {
			// Measured whole: a combining mark takes the place of the character before it.
			longer := line + space + piece
			switch {
			case line == "":
				line = piece
			case Columns(longer) <= width:
				line = longer
			default:
				b.WriteString(indent + line + "\n")
				line = piece
			}
			space = ""
		}
	}
	if line != "" {
		b.WriteString(indent + line)
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
