package main

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

// table is rows of cells: aligned and cut to the width on a terminal, separated
// by tabs and whole in a pipe, where no header is in the way of a program.
type table struct {
	header []string
	rows   [][]string
	paint  func(column int, cell string) paint // nil, or "" = plain
	whole  bool                                // a terminal breaks the last column's text instead of cutting it
}

// leastColumn is the least room in which a whole text stands beside its row, else it
// stands below.
const leastColumn = 12

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(s *streams) error {
	if !s.OutTTY {
		for _, row := range t.rows {
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
	widths := make([]int, len(t.header))
	for i, h := range t.header {
		widths[i] = columns(h)
	}
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(oneLine(cell)))
		}
	}
	last := len(widths) - 1
	room := s.Width - 2*last
	for _, w := range widths[:last] {
		room -= w
	}
	if t.whole && room < 0 {
		return t.writeStacked(s)
	}
	var b strings.Builder
	line := func(row []string, header bool) {
		left := s.Width
		for i, cell := range row {
			text := oneLine(cell)
			switch {
			case i < len(row)-1:
			case t.whole && header && left < columns(text):
				text = "" // what stands below explains itself
			case !t.whole || header:
				text = cut(text, max(left, 20))
			case columns(text) > left && left < leastColumn:
				text = "\n" + strings.TrimRight(wrapped(text, "    ", max(s.Width, 20)), "\n")
			default:
				text = strings.Trim(wrapped(text, strings.Repeat(" ", max(s.Width-left, 0)), s.Width), " \n")
			}
			pad := widths[i] - columns(text)
			switch {
			case header:
				text = s.color(true, bold, text)
			case t.paint != nil:
				if p := t.paint(i, cell); p != "" {
					text = s.color(true, p, text)
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
	line(t.header, true)
	for _, row := range t.rows {
		line(row, false)
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// writeJSON prints a value for programs, with <, > and & as they are.
func writeJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(inertJSON(text.Bytes()))
	return err
}

// inertJSON is JSON that says the same and drives no terminal: encoding/json escapes
// the control characters below space, ESC among them, but not DEL and those from U+0080
// to U+009F, of which terminals take U+009B for ESC [.
func inertJSON(text []byte) []byte {
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

// oneLine is a text for a terminal: white space in one piece, nothing that would
// move the cursor or change colours.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// printable is a text of many lines for a terminal: what Coze says must not
// drive it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// short is cut for texts in sentences, in characters.
func short(s string, runes int) string {
	s = oneLine(s)
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes-1]) + "…"
}

// writeStacked gives each row lines of its own, where not even the columns before the
// last one have room side by side.
func (t *table) writeStacked(s *streams) error {
	for i, row := range t.rows {
		lines := &table{header: []string{t.header[0], row[0]}}
		for j, cell := range row[1:] {
			lines.add(strings.ToLower(t.header[j+1]), cell)
		}
		if i > 0 {
			io.WriteString(s.Out, "\n")
		}
		if err := lines.writeLong(s); err != nil {
			return err
		}
	}
	return nil
}

// writeLong is write for names and long texts: a terminal wraps the last column
// instead of losing its end.
func (t *table) writeLong(s *streams) error {
	if !s.OutTTY {
		return t.write(s)
	}
	first := columns(t.header[0])
	for _, row := range t.rows {
		first = max(first, columns(row[0]))
	}
	var b strings.Builder
	for _, row := range append([][]string{t.header}, t.rows...) {
		b.WriteString(s.color(true, bold, row[0]))
		b.WriteString(strings.Repeat(" ", first-columns(row[0])+2))
		text := wrapped(oneLine(row[1]), strings.Repeat(" ", first+2), max(s.Width, first+22))
		b.WriteString(strings.TrimLeft(text, " "))
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// number has its thousands apart for people only.
func (s *streams) number(n int) string {
	if s.OutTTY {
		return count(n)
	}
	return strconv.Itoa(n)
}

// age is in seconds for programs.
func (s *streams) age(d time.Duration) string {
	if s.OutTTY {
		return rounded(d)
	}
	return strconv.FormatFloat(seconds(d), 'f', -1, 64)
}

// moment is a time for people on a terminal, where today needs no date, else
// RFC 3339.
func (s *streams) moment(t time.Time) string {
	if !s.OutTTY {
		return t.UTC().Format(time.RFC3339)
	}
	t = t.Local()
	if t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
