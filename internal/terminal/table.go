package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Table is rows of cells: aligned and cut to the width on a terminal, separated
// by tabs and whole in a pipe, where no header is in the way of a program.
type Table struct {
	Header []string
	Rows   [][]string
	Paint  func(column int, cell string) Paint // nil, or "" = plain
	Whole  bool                                // a terminal breaks the last column's text instead of cutting it
}

// leastColumn is the least width of a column for whole texts. With less room they are printed below their row.
const leastColumn = 12

func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

func (t *Table) Write(s *Streams) error {
	if !s.OutTTY {
		for _, row := range t.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = escaped(cell)
			}
			if _, err := io.WriteString(s.Out, strings.Join(cells, "\t")+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	widths := make([]int, len(t.Header))
	for i, h := range t.Header {
		widths[i] = Columns(h)
	}
	for _, row := range t.Rows {
		for i, cell := range row {
			widths[i] = max(widths[i], Columns(OneLine(cell)))
		}
	}
	last := len(widths) - 1
	room := s.Width - 2*last
	for _, w := range widths[:last] {
		room -= w
	}
	if t.Whole && room < 0 {
		return t.writeStacked(s)
	}
	var b strings.Builder
	line := func(row []string, header bool) {
		left := s.Width
		for i, cell := range row {
			text := OneLine(cell)
			switch {
			case i < len(row)-1:
			case t.Whole && header && left < Columns(text):
				text = "" // what stands below explains itself
			case !t.Whole || header:
				text = Cut(text, max(left, 20))
			case Columns(text) > left && left < leastColumn:
				text = "\n" + strings.TrimRight(Wrap(text, "    ", max(s.Width, 20)), "\n")
			default:
				text = strings.Trim(Wrap(text, strings.Repeat(" ", max(s.Width-left, 0)), s.Width), " \n")
			}
			pad := widths[i] - Columns(text)
			switch {
			case header:
				text = s.Paint(true, Bold, text)
			case t.Paint != nil:
				if p := t.Paint(i, cell); p != "" {
					text = s.Paint(true, p, text)
				}
			}
			b.WriteString(text)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", max(pad, 0)+2))
				left -= widths[i] + 2
			}
		}
		b.WriteByte('\n')
	}
	line(t.Header, true)
	for _, row := range t.Rows {
		line(row, false)
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// WriteJSON prints a value for programs, with <, > and & as they are.
func WriteJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(InertJSON(text.Bytes()))
	return err
}

// InertJSON is JSON that says the same and drives no terminal: encoding/json escapes
// the control characters below space, ESC among them, but not DEL and those from U+0080
// to U+009F, of which terminals take U+009B for ESC [.
func InertJSON(text []byte) []byte {
	if !bytes.ContainsFunc(text, isLateControl) {
		return text
	}
	inert := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		if isLateControl(r) {
			inert = fmt.Appendf(inert, `\u%04x`, r)
		} else {
			inert = utf8.AppendRune(inert, r)
		}
	}
	return inert
}

func isLateControl(r rune) bool { return r >= 0x7f && r <= 0x9f }

var escapes = strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// escaped keeps a cell in its line and column.
func escaped(s string) string { return escapes.Replace(s) }

// OneLine is a text for a terminal: white space in one piece, nothing that would
// move the cursor or change colours.
func OneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// Printable is a text of many lines for a terminal: what Coze says must not
// drive it.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// Short is cut for texts in sentences, in characters.
func Short(s string, runes int) string {
	s = OneLine(s)
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes-1]) + "…"
}

// writeStacked gives each row lines of its own, where not even the columns before the
// last one have room side by side.
func (t *Table) writeStacked(s *Streams) error {
	for i, row := range t.Rows {
		lines := &Table{Header: []string{t.Header[0], row[0]}}
		for j, cell := range row[1:] {
			lines.Add(strings.ToLower(t.Header[j+1]), cell)
		}
		if i > 0 {
			io.WriteString(s.Out, "\n")
		}
		if err := lines.WriteLong(s); err != nil {
			return err
		}
	}
	return nil
}

// WriteLong is write for names and long texts: a terminal wraps the last column
// instead of losing its end.
func (t *Table) WriteLong(s *Streams) error {
	if !s.OutTTY {
		return t.Write(s)
	}
	first := Columns(t.Header[0])
	for _, row := range t.Rows {
		first = max(first, Columns(row[0]))
	}
	var b strings.Builder
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		b.WriteString(s.Paint(true, Bold, row[0]))
		b.WriteString(strings.Repeat(" ", first-Columns(row[0])+2))
		text := Wrap(OneLine(row[1]), strings.Repeat(" ", first+2), max(s.Width, first+22))
		b.WriteString(strings.TrimLeft(text, " "))
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// Number has its thousands apart for people only.
func (s *Streams) Number(n int) string {
	if s.OutTTY {
		return Count(n)
	}
	return strconv.Itoa(n)
}

// Age is in seconds for programs.
func (s *Streams) Age(d time.Duration) string {
	if s.OutTTY {
		return Rounded(d)
	}
	return strconv.FormatFloat(Seconds(d), 'f', -1, 64)
}

// Moment is a time for people on a terminal, where today needs no date, else
// RFC 3339.
func (s *Streams) Moment(t time.Time) string {
	if !s.OutTTY {
		return t.UTC().Format(time.RFC3339)
	}
	t = t.Local()
	if t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
