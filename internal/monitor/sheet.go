package monitor

import (
	"strings"
)

// sheet is text for people: a line for each fact, "name: value", and a block, set in
// below its name, for what is long. It is no JSON, so asynqmon's pages show it as it
// is; in JSON an answer of ten lines would be one line with nine times \n in it.
type sheet struct{ b strings.Builder }

func (s *sheet) String() string { return strings.TrimRight(s.b.String(), "\n") }

// longLine is where a line becomes a block, in characters.
const longLine = 100

// fact adds a value. One that is empty is left out, as everywhere.
func (s *sheet) fact(name, value string) {
	switch {
	case value == "":
	case strings.Contains(value, "\n"), len([]rune(value)) > longLine:
		s.block(name, value)
	default:
		s.b.WriteString(name + ": " + value + "\n")
	}
}

// block adds a text below its name, empty or not.
func (s *sheet) block(name, text string) {
	s.b.WriteString(name + ":\n")
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		if strings.TrimSpace(line) != "" {
			s.b.WriteString("  ")
		}
		s.b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
	}
}

// gap sets apart what follows.
func (s *sheet) gap() {
	if s.b.Len() > 0 && !strings.HasSuffix(s.b.String(), "\n\n") {
		s.b.WriteByte('\n')
	}
}

// joined is several sheets as one, with a line between them.
func joined(sheets ...*sheet) string {
	var all []string
	for _, s := range sheets {
		if text := s.String(); text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, "\n\n")
}

// brief is a text on one line, cut to n characters.
func brief(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}
