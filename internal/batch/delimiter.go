package batch

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// delimiters are what may stand between the cells of a csv or tsv, in the order in which they are preferred.
var delimiters = []struct {
	char rune
	name string
}{{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}}

// parseDelimiter takes a delimiter's name, or itself.
func parseDelimiter(name string) (rune, error) {
	for _, d := range delimiters {
		if name == string(d.char) || strings.EqualFold(name, d.name) || d.char == '\t' && name == `\t` {
			return d.char, nil
		}
	}
	return 0, &UsageError{What: fmt.Sprintf("unknown delimiter %q", name), Hint: "--delimiter takes comma, semicolon or tab"}
}

func delimiterName(char rune) string {
	for _, d := range delimiters {
		if d.char == char {
			return d.name
		}
	}
	return string(char)
}

// delimiter is the one that the format's name promises.
func (f Format) delimiter() rune {
	if f == TSV {
		return '\t'
	}
	return ','
}

// findDelimiter tells what stands between the cells of a table that begins with head. It is the one with which the
// header has the columns that are needed; where that does not decide, the one with which most rows have as many cells
// as the header, then the one with the most columns, then the format's own.
func findDelimiter(head []byte, whole bool, f Format, needed []string) rune {
	best := f.delimiter()
	most := fitOf(head, whole, best, needed)
	for _, d := range delimiters {
		if got := fitOf(head, whole, d.char, needed); got.better(most) {
			best, most = d.char, got
		}
	}
	return best
}

// fit is how well a delimiter goes with a table.
type fit struct {
	needed  int // of the columns that are needed, how many are in the header, or in a row that should have been it
	even    int // of a hundred rows, how many have as many cells as the header
	columns int
}

func (f fit) better(than fit) bool {
	if f.needed != than.needed {
		return f.needed > than.needed
	}
	if f.columns < 2 || than.columns < 2 {
		return f.columns > than.columns // one column is one whatever separates it from none
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
		if blankCells(cells) || separatorHint(cells) != 0 {
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
		if slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) == name }) {
			n++
		}
	}
	return n
}

// separatorHint is the delimiter of a first line "sep=;", which Excel writes and heeds; 0 = the row is none.
func separatorHint(cells []string) rune {
	const hint = "sep="
	switch {
	case len(cells) == 1 && len(cells[0]) == len(hint)+1 && strings.EqualFold(cells[0][:len(hint)], hint):
		return rune(cells[0][len(hint)])
	case len(cells) == 2 && strings.EqualFold(cells[0], hint) && cells[1] == "":
		return -1 // the delimiter that the row was read with
	}
	return 0
}

// readHead reads what is looked at to find something out.
func readHead(r io.Reader) (head []byte, whole bool, err error) {
	head = make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if whole = err == io.EOF || err == io.ErrUnexpectedEOF; whole {
		err = nil
	}
	return head[:n], whole, err
}

// headSize is how much of a text is looked at.
const headSize = 256 << 10
