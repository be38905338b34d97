package input

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/usage"
)

// delimiters may separate the cells of a csv or tsv; earlier ones are preferred.
var delimiters = []struct {
	char rune
	name string
}{{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}}

func parseDelimiter(name string) (rune, error) {
	for _, d := range delimiters {
		if name == string(d.char) || strings.EqualFold(name, d.name) || d.char == '\t' && name == `\t` {
			return d.char, nil
		}
	}
	return 0, &usage.Error{What: fmt.Sprintf("unknown delimiter %q", name), Hint: "--delimiter takes comma, semicolon or tab"}
}

func delimiterName(char rune) string {
	for _, d := range delimiters {
		if d.char == char {
			return d.name
		}
	}
	return string(char)
}

func (f Format) delimiter() rune {
	if f == TSV {
		return '\t'
	}
	return ','
}

// findDelimiter detects the delimiter of a table that begins with head: the one that a first line "sep=;" names, or with
// which the header has the needed columns. If that does not decide: the one with which most rows have as many cells as the
// header, then the one with the most columns, then the format's default.
func findDelimiter(head []byte, whole bool, f Format, needed []string) rune {
	if hint, ok := hinted(head); ok {
		return hint
	}
	best := f.delimiter()
	most := fitOf(head, whole, best, needed)
	for _, d := range delimiters {
		if got := fitOf(head, whole, d.char, needed); got.better(most) {
			best, most = d.char, got
		}
	}
	return best
}

// fit is how well a delimiter matches a table.
type fit struct {
	needed  int // how many of the needed columns are in the header, or in a row that should have been it
	even    int // of a hundred rows, how many have as many cells as the header
	columns int
}

func (f fit) better(than fit) bool {
	if f.needed != than.needed {
		return f.needed > than.needed
	}
	if f.columns < 2 || than.columns < 2 {
		return f.columns > than.columns // a single column is the same with any delimiter
	}
	if f.even != than.even {
		return f.even > than.even
	}
	return f.columns > than.columns
}

func fitOf(head []byte, whole bool, comma rune, needed []string) (f fit) {
	r := csv.NewReader(strings.NewReader(string(head)))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = comma, -1, true, true
	rows, even := 0, 0
	for {
		cells, err := r.Read()
		if err != nil {
			if _, bad := errors.AsType[*csv.ParseError](err); bad {
				continue
			}
			break
		}
		if !whole && r.InputOffset() == int64(len(head)) {
			break // it may be half a row
		}
		if blankCells(cells) || isHint(cells) {
			continue
		}
		if rows <= belowTitle {
			f.needed = max(f.needed, countNeeded(cells, needed))
		}
		if f.columns == 0 {
			f.columns = len(cells)
			continue
		}
		rows++
		if len(cells) == f.columns {
			even++
		}
	}
	if rows > 0 {
		f.even = 100 * even / rows
	}
	return f
}

func countNeeded(cells, needed []string) (n int) {
	for _, name := range needed {
		if slices.ContainsFunc(cells, func(cell string) bool { return sameName(cell, name) }) {
			n++
		}
	}
	return n
}

// sepHint begins the line "sep=;", which Excel writes and reads.
const sepHint = "sep="

func hinted(head []byte) (delimiter rune, ok bool) {
	line, _, _ := strings.Cut(string(head[:min(len(head), len(sepHint)+2)]), "\n")
	line = strings.TrimSuffix(line, "\r")
	if len(line) != len(sepHint)+1 || !strings.EqualFold(line[:len(sepHint)], sepHint) {
		return 0, false
	}
	for _, d := range delimiters {
		if rune(line[len(sepHint)]) == d.char {
			return d.char, true
		}
	}
	return 0, false
}

// isHint reports whether a row is such a line, read with any delimiter.
func isHint(cells []string) bool {
	text := strings.Join(cells, ";")
	return len(cells) < 3 && len(text) == len(sepHint)+1 && strings.EqualFold(text[:len(sepHint)], sepHint)
}

func readHead(r io.Reader) (head []byte, whole bool, err error) {
	head, err = io.ReadAll(io.LimitReader(r, headSize))
	return head, len(head) < headSize, err
}

// headSize is how much of a text is read for detection.
const headSize = 256 << 10
