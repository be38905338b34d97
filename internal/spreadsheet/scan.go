package spreadsheet

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// scan reads the XML of a sheet: which cells there are and of what kind, without what they show.
type scan struct {
	xml    *xml.Decoder
	row    int // the number of the row that was read last, from 1
	merges []Range
	ended  bool // sheetData is behind us
}

// scanned is a cell as it is stored.
type scanned struct {
	column  int    // from 1
	kind    string // its attribute t
	style   int    // its attribute s; -1 = it is no number
	value   string // its element v
	formula bool
	inline  string // the text of its element is
}

func newScan(r io.Reader) *scan { return &scan{xml: xml.NewDecoder(r)} }

// next returns the cells of the next row; io.EOF behind the last one, once the merged cells are known too.
func (s *scan) next() ([]scanned, error) {
	for {
		token, err := s.xml.Token()
		if err == io.EOF && s.ended {
			return nil, io.EOF
		}
		if err != nil {
			return nil, s.damaged(err)
		}
		switch t := token.(type) {
		case xml.EndElement:
			s.ended = s.ended || t.Name.Local == "sheetData"
		case xml.StartElement:
			switch t.Name.Local {
			case "row":
				return s.cells(t)
			case "mergeCell":
				if err := s.merge(attribute(t, "ref")); err != nil {
					return nil, err
				}
			}
		}
	}
}

func (s *scan) damaged(err error) error {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return damaged(s.row+1, "the sheet is damaged here: %s", syntax.Msg)
	}
	return damaged(s.row+1, "the sheet is damaged here: %v", err)
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

func (s *scan) cells(row xml.StartElement) ([]scanned, error) {
	number := s.row + 1
	if r := attribute(row, "r"); r != "" {
		var err error
		if number, err = strconv.Atoi(r); err != nil || number <= s.row || number > maxRows {
			return nil, damaged(s.row+1, "the sheet is damaged here: row %q", r)
		}
	}
	var cells []scanned
	for {
		token, err := s.xml.Token()
		if err != nil {
			return nil, s.damaged(err)
		}
		switch t := token.(type) {
		case xml.EndElement: // of the row: those of cells are read below
			s.row = number
			return cells, nil
		case xml.StartElement:
			if t.Name.Local != "c" {
				if err := s.xml.Skip(); err != nil {
					return nil, s.damaged(err)
				}
				continue
			}
			last := 0
			if len(cells) > 0 {
				last = cells[len(cells)-1].column
			}
			c, err := s.cell(t, last)
			if err != nil {
				return nil, err
			}
			cells = append(cells, c)
		}
	}
}

func (s *scan) cell(start xml.StartElement, last int) (scanned, error) {
	c := scanned{column: last + 1, kind: attribute(start, "t")}
	if style := attribute(start, "s"); style != "" {
		var err error
		if c.style, err = strconv.Atoi(style); err != nil {
			c.style = -1
		}
	}
	if ref := attribute(start, "r"); ref != "" {
		column, _, ok := parseRef(ref)
		if !ok || column <= last {
			return c, damaged(s.row+1, "the sheet is damaged here: cell %q", ref)
		}
		c.column = column
	}
	for {
		token, err := s.xml.Token()
		if err != nil {
			return c, s.damaged(err)
		}
		switch t := token.(type) {
		case xml.EndElement:
			return c, nil
		case xml.StartElement:
			switch t.Name.Local {
			case "v":
				c.value, err = elementText(s.xml)
			case "f":
				c.formula = true
				err = s.xml.Skip()
			case "is":
				c.inline, err = richText(s.xml)
			default:
				err = s.xml.Skip()
			}
			if err != nil {
				return c, s.damaged(err)
			}
		}
	}
}

func (s *scan) merge(ref string) error {
	from, to, _ := strings.Cut(ref, ":")
	left, top, ok := parseRef(from)
	right, bottom, ok2 := parseRef(to)
	if !ok || !ok2 || right < left || bottom < top {
		return damaged(0, "merged cells %q in the sheet", ref)
	}
	s.merges = append(s.merges, Range{Top: top, Left: left, Bottom: bottom, Right: right})
	return nil
}

// Excel's limits.
const (
	maxRows    = 1 << 20
	maxColumns = 1 << 14
)

// parseRef reads a cell's name: "B7" is column 2, row 7.
func parseRef(ref string) (column, row int, ok bool) {
	letters := strings.TrimRight(ref, "0123456789")
	for _, l := range []byte(strings.ToUpper(letters)) {
		if l < 'A' || l > 'Z' || column > maxColumns {
			return 0, 0, false
		}
		column = column*26 + int(l-'A') + 1
	}
	row, err := strconv.Atoi(ref[len(letters):])
	return column, row, err == nil && column >= 1 && column <= maxColumns && row >= 1 && row <= maxRows
}

// Column is the name of a column: 1 is A, 28 is AB.
func Column(n int) string {
	name := ""
	for ; n > 0; n = (n - 1) / 26 {
		name = string(rune('A'+(n-1)%26)) + name
	}
	return name
}
