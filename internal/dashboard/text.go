package dashboard

import (
	"strings"
)

// sheet is text for people: a line "name: value" for each fact, and an indented block below its name for a long text. It is
// not JSON, in which an answer of ten lines would be one line; asynqmon's pages show it as it is.
type sheet struct{ b strings.Builder }

func (s *sheet) String() string { return strings.TrimRight(s.b.String(), "\n") }

// longLine is the length in characters from which a line becomes a block.
const longLine = 100

// fact adds a value, unless it is empty.
func (s *sheet) fact(name, value string) {
	switch {
	case value == "":
	case strings.Contains(value, "\n"), len([]rune(value)) > longLine:
		s.block(name, value)
	default:
		s.b.WriteString(name + ": " + value + "\n")
	}
}

func (s *sheet) block(name, text string) {
	s.b.WriteString(name + ":\n")
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		if strings.TrimSpace(line) != "" {
			s.b.WriteString("  ")
		}
		s.b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
	}
}

func (s *sheet) gap() {
	if s.b.Len() > 0 && !strings.HasSuffix(s.b.String(), "\n\n") {
		s.b.WriteByte('\n')
	}
}

// joined joins sheets, with an empty line between them.
func joined(sheets ...*sheet) string {
	var all []string
	for _, s := range sheets {
		if text := s.String(); text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, "\n\n")
}

func brief(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}
