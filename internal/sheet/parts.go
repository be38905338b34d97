package sheet

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"regexp"
	"strings"
)

// The names at which excelize looks for the parts that cells refer to. A workbook may give them other ones: what counts,
// for Excel and here, is its relationship of that type.
const (
	usualStrings = "xl/sharedStrings.xml"
	usualStyles  = "xl/styles.xml"
)

// arranged is the path of a book whose parts have the names by which excelize finds them: the book's own, or that of a
// copy, which the caller removes. A copy costs no more than the archive's bytes, as nothing of it is unpacked.
func (b *Book) arranged(archive *zip.Reader, sheet string) (path string, remove func() error, err error) {
	wanted := map[string]string{partName(sheet): sheet, partName(b.strings): usualStrings, partName(b.styles): usualStyles}
	as := func(f *zip.File) string {
		name := strings.ReplaceAll(f.Name, `\`, "/")
		if want, ok := wanted[partName(name)]; ok {
			return want
		}
		if other := partName(name); other == partName(usualStrings) || other == partName(usualStyles) {
			return "" // of that name, and not what the workbook refers to
		}
		return name
	}
	usual := true
	for _, f := range archive.File {
		usual = usual && as(f) == strings.ReplaceAll(f.Name, `\`, "/")
	}
	if usual {
		return b.path, func() error { return nil }, nil
	}
	file, err := os.CreateTemp("", "cozeq-book-*.xlsx")
	if err != nil {
		return "", nil, err
	}
	copied := zip.NewWriter(file)
	for _, f := range archive.File {
		if name := as(f); name != "" && err == nil {
			err = copyPart(copied, f, name)
		}
	}
	if err = errors.Join(err, copied.Close(), file.Close()); err != nil {
		return "", nil, errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), func() error { return os.Remove(file.Name()) }, nil
}

func copyPart(to *zip.Writer, f *zip.File, name string) error {
	header := f.FileHeader
	header.Name = name
	packed, err := f.OpenRaw()
	if err != nil {
		return err
	}
	w, err := to.CreateRaw(&header)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, packed)
	return err
}

// texts are the sums of the shared strings. The library passes over those that it cannot read: they would be empty cells.
type texts struct {
	seed maphash.Seed
	sums []uint64
}

func (t *texts) sum(text string) uint64 { return maphash.String(t.seed, text) }

// readTexts reads the shared strings; a book without any has none.
func readTexts(archive *zip.Reader, name string) (*texts, error) {
	t := &texts{seed: maphash.MakeSeed()}
	r, err := openPart(archive, name)
	if err != nil {
		return t, nil // it is missing: cells that refer to it are damaged
	}
	defer r.Close()
	decoder := xml.NewDecoder(r)
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return t, nil
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "si" {
			var text string
			text, err = richText(decoder)
			t.sums = append(t.sums, t.sum(text))
		}
		if err != nil {
			return nil, damaged(0, "%s in it is damaged: %v", name, err)
		}
	}
}

// richText reads the element that has begun: the text of a string item, without what is there to pronounce it.
func richText(decoder *xml.Decoder) (string, error) {
	var text strings.Builder
	for depth := 0; depth >= 0; {
		token, err := decoder.Token()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.EndElement:
			depth--
		case xml.StartElement:
			switch {
			case t.Name.Local == "t":
				piece, err := elementText(decoder)
				if err != nil {
					return "", err
				}
				text.WriteString(piece)
			case t.Name.Local == "r" && depth == 0:
				depth++
			default:
				if err := decoder.Skip(); err != nil {
					return "", err
				}
			}
		}
	}
	return unescape(text.String()), nil
}

// elementText reads the element that has begun, which holds nothing but text.
func elementText(decoder *xml.Decoder) (string, error) {
	var text []byte
	for {
		token, err := decoder.Token()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			text = append(text, t...)
		case xml.EndElement:
			return string(text), nil
		case xml.StartElement:
			if err := decoder.Skip(); err != nil {
				return "", err
			}
		}
	}
}

// styles are the number formats that cells refer to, by the index of their style.
type styles struct {
	formats []int          // the number of each style's format
	codes   map[int]string // of formats that are the book's own
}

// ownFormats is the first number of a format that is a book's own.
const ownFormats = 164

// readStyles reads the part of that name; a book without it has no styles. One that the library cannot read is none that it
// opens.
func readStyles(archive *zip.Reader, name string) (*styles, error) {
	s := &styles{codes: make(map[int]string)}
	r, err := openPart(archive, name)
	if err != nil {
		return s, nil // it is missing: numbers that refer to it are damaged
	}
	defer r.Close()
	var part struct {
		Own []struct {
			Number int    `xml:"numFmtId,attr"`
			Code   string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Styles []struct {
			Format int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	err = xml.NewDecoder(r).Decode(&part)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return nil, damaged(0, "%s in it is damaged: %v", name, err)
	}
	for _, f := range part.Own {
		s.codes[f.Number] = f.Code
	}
	for _, x := range part.Styles {
		s.formats = append(s.formats, x.Format)
	}
	return s, nil
}

// wrong tells why the number of a cell of that style cannot be shown; "" = it can.
func (s *styles) wrong(style int) string {
	if style == 0 {
		if len(s.formats) > 0 && isDate(s.formats[0], s.code(0)) { // the library shows numbers of this style as they are
			return "it is a date in a style that is for numbers"
		}
		return ""
	}
	switch {
	case style < 0:
		return "its style is no number"
	case style >= len(s.formats):
		return fmt.Sprintf("its style %d cannot be read", style)
	}
	format := s.formats[style]
	if _, own := s.codes[format]; format >= ownFormats && !own {
		return fmt.Sprintf("its style %d has a number format, %d, that the file lacks", style, format)
	}
	return ""
}

// code is the code of a style whose format is the book's own, "" for any other.
func (s *styles) code(style int) string {
	if style < 0 || style >= len(s.formats) {
		return ""
	}
	return quotedCode.ReplaceAllString(s.codes[s.formats[style]], "")
}

// changeTexts reports whether a style may show another text than is stored.
func (s *styles) changeTexts(style int) bool {
	if style > 0 && style < len(s.formats) && s.formats[style] >= 41 && s.formats[style] <= 44 {
		return true // accounting, with room at both sides
	}
	code := s.code(style)
	return strings.Contains(code, "@") || strings.Count(code, ";") >= 3
}

// hideNumbers reports whether a style may show nothing for a number: 0;-0; hides zero.
func (s *styles) hideNumbers(style int) bool { return strings.Contains(s.code(style), ";") }

// quotedCode is what in the code of a format stands for itself: "text", \c, [Red], _x, *x.
var quotedCode = regexp.MustCompile(`"[^"]*"|[\\_*].|\[[^\]]*\]`)

// isDate reports whether a format shows a date or a time; code is that of the book's own.
func isDate(format int, code string) bool {
	if code != "" {
		code = strings.ToLower(code)
		return !strings.Contains(code, "general") && strings.ContainsAny(code, "ymdhs")
	}
	return format >= 14 && format <= 22 || format >= 27 && format <= 36 || format >= 45 && format <= 47 || format >= 50 && format <= 58
}
