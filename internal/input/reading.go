package input

import (
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/charset"
)

// reading is how an input is read, by its options or as detected. The journal holds it, so that a run resumes only if it
// reads the same questions. The zero value is how inputs were read before there was a choice.
type reading struct {
	Compressed bool             `json:"gzip,omitempty"`
	Encoding   charset.Encoding `json:"encoding,omitempty"`  // "" = UTF-8
	Newline    string           `json:"newline,omitempty"`   // newlineCR, or "" = LF or CRLF
	Delimiter  string           `json:"delimiter,omitempty"` // of a csv or tsv: "" = the format's own
	Sheet      string           `json:"sheet,omitempty"`
}

// newlineCR is the line end of old Macs.
const newlineCR = "cr"

func (r *reading) setEncoding(e charset.Encoding) {
	if r.Encoding = e; e == charset.UTF8 {
		r.Encoding = ""
	}
}

func (r *reading) encoding() charset.Encoding {
	if r.Encoding == "" {
		return charset.UTF8
	}
	return r.Encoding
}

func (r *reading) setDelimiter(f Format, char rune) {
	if r.Delimiter = string(char); char == f.delimiter() {
		r.Delimiter = ""
	}
}

func (r *reading) delimiter(f Format) rune {
	for _, char := range r.Delimiter {
		return char
	}
	return f.delimiter()
}

// differs says how the reading differs from the one that a run began with; "" = not at all.
func (r reading) differs(begun reading) string {
	switch {
	case r.encoding() != begun.encoding():
		return fmt.Sprintf("it was read as %s, now as %s", begun.encoding(), r.encoding())
	case r.Delimiter != begun.Delimiter:
		return "other delimiters stood between its cells"
	case r.Sheet != begun.Sheet:
		return fmt.Sprintf("the questions were on sheet %q, now on %q", begun.Sheet, r.Sheet)
	case r != begun:
		return "it was unpacked or cut into lines in another way"
	}
	return ""
}

// findings are what was detected of an input and is not the default.
type findings []string

func (f *findings) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f findings) String() string { return strings.Join(f, ", ") }
