package spreadsheet

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// texts are the shared strings, in a temporary file.
type texts struct {
	file *tempFile
	ends []int64
}

// readTexts reads the shared strings; a book without any has none.
func readTexts(archive *zip.Reader, name string) (t *texts, err error) {
	t = new(texts)
	r, err := openPart(archive, name)
	if err != nil {
		return t, nil // it is missing: cells that refer to it are damaged
	}
	defer r.Close()
	if t.file, err = newTempFile(); err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(t.file, 256<<10)
	if err = t.write(out, xml.NewDecoder(r)); err != nil {
		err = damaged(0, "%s in it is damaged: %v", name, err)
	} else {
		err = out.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *texts) write(out *bufio.Writer, decoder *xml.Decoder) error {
	end := int64(0)
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "si" {
			var text string
			if text, err = richText(decoder); err == nil {
				_, err = out.WriteString(text)
			}
			end += int64(len(text))
			t.ends = append(t.ends, end)
		}
		if err != nil {
			return err
		}
	}
}

func (t *texts) at(i int) (string, error) {
	begin := int64(0)
	if i > 0 {
		begin = t.ends[i-1]
	}
	text := make([]byte, t.ends[i]-begin)
	_, err := t.file.ReadAt(text, begin)
	return string(text), err
}

func (t *texts) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
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

// readStyles reads the part of that name; a book without it has no styles. part is what excelize reads, too.
func readStyles(archive *zip.Reader, name string) (s *styles, part []byte, err error) {
	s = &styles{codes: make(map[int]string)}
	r, err := openPart(archive, name)
	if err != nil {
		return s, nil, nil // it is missing: numbers that refer to it are damaged
	}
	defer r.Close()
	var read struct {
		Own []struct {
			Number int    `xml:"numFmtId,attr"`
			Code   string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Styles []struct {
			Format int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	if part, err = io.ReadAll(r); err == nil {
		err = xml.Unmarshal(part, &read)
	}
	if err != nil {
		return nil, nil, damaged(0, "%s in it is damaged: %v", name, err)
	}
	for _, f := range read.Own {
		s.codes[f.Number] = f.Code
	}
	for _, x := range read.Styles {
		s.formats = append(s.formats, x.Format)
	}
	return s, part, nil
}

// wrong tells why the number of a cell of that style cannot be shown; "" = it can.
func (s *styles) wrong(style int) string {
	if style == 0 {
		if len(s.formats) > 0 && s.isDate(0) { // the library shows numbers of this style as they are
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

// isDateFormat reports whether a format shows a date or a time; code is that of the book's own.
func isDateFormat(format int, code string) bool {
	if code != "" {
		code = strings.ToLower(code)
		return !strings.Contains(code, "general") && strings.ContainsAny(code, "ymdhs")
	}
	return format >= 14 && format <= 22 || format >= 27 && format <= 36 || format >= 45 && format <= 47 || format >= 50 && format <= 58
}

func (s *styles) isDate(style int) bool { return isDateFormat(s.formats[style], s.code(style)) }
