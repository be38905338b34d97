package spreadsheet

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits of a workbook, in bytes unpacked. A sheet and its texts are unpacked to a temporary file, all else, as
// pictures, to memory.
const (
	maxUnpacked = 4 << 30
	maxOther    = 256 << 20
)

// DamagedError is a file that cannot be read as an .xlsx.
type DamagedError struct {
	Row  int // of the sheet, from 1; 0 = the file as a whole
	What string
}

func (e *DamagedError) Error() string {
	if e.Row == 0 {
		return e.What
	}
	return fmt.Sprintf("row %d: %s", e.Row, e.What)
}

func damaged(row int, format string, args ...any) error {
	return &DamagedError{Row: row, What: fmt.Sprintf(format, args...)}
}

// Book is an .xlsx whose parts are known.
type Book struct {
	path    string
	sheets  []part
	strings string // the part with the texts that cells share
	styles  string // the part with their number formats
	mac     bool   // its days count from 1904
}

// part is a sheet with cells.
type part struct {
	name   string
	file   string // in the archive
	hidden bool
}

// Open reads what sheets the file at path has. What is no .xlsx is a *DamagedError.
func Open(path string) (*Book, error) {
	archive, err := openArchive(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	b := &Book{path: path, strings: "xl/sharedStrings.xml", styles: "xl/styles.xml"}
	if err := b.readWorkbook(&archive.Reader); err != nil {
		return nil, err
	}
	if len(b.sheets) == 0 {
		return nil, damaged(0, "there is no sheet in it")
	}
	return b, nil
}

func openArchive(path string) (*zip.ReadCloser, error) {
	archive, err := zip.OpenReader(path)
	if errors.Is(err, zip.ErrFormat) {
		return nil, damaged(0, "not an .xlsx, or one that is cut short")
	}
	if err != nil {
		return nil, err
	}
	var all, other uint64
	for _, f := range archive.File {
		all += f.UncompressedSize64
		if name := partName(f.Name); !strings.HasPrefix(name, "xl/worksheets/") && name != "xl/sharedstrings.xml" {
			other += f.UncompressedSize64
		}
	}
	switch {
	case all > maxUnpacked:
		err = damaged(0, "%d MiB when unpacked, at most %d: save it as .csv", all>>20, maxUnpacked>>20)
	case other > maxOther:
		err = damaged(0, "%d MiB of pictures and the like, at most %d: save it as .csv", other>>20, maxOther>>20)
	}
	if err != nil {
		archive.Close()
		return nil, err
	}
	return archive, nil
}

// partName makes names of parts the same whoever wrote them.
func partName(name string) string { return strings.ToLower(strings.ReplaceAll(name, `\`, "/")) }

// openPart opens a part of the archive; its end is not reached without error unless its check sum is right.
func openPart(archive *zip.Reader, name string) (io.ReadCloser, error) {
	for _, f := range archive.File {
		if partName(f.Name) == partName(name) {
			r, err := f.Open()
			if err != nil {
				return nil, damaged(0, "%s in it: %v", name, err)
			}
			return r, nil
		}
	}
	return nil, damaged(0, "%s is missing in it", name)
}

func decodePart(archive *zip.Reader, name string, into any) error {
	r, err := openPart(archive, name)
	if err != nil {
		return err
	}
	defer r.Close()
	err = xml.NewDecoder(r).Decode(into)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return damaged(0, "%s in it: %v", name, err)
	}
	return nil
}

// relations are which part an id stands for.
type relations struct {
	All []struct {
		ID     string `xml:"Id,attr"`
		Type   string `xml:"Type,attr"`
		Target string `xml:"Target,attr"`
	} `xml:"Relationship"`
}

// readWorkbook lists the sheets with cells, in the order of their tabs, and finds the parts that all of them share.
func (b *Book) readWorkbook(archive *zip.Reader) error {
	var top relations
	if err := decodePart(archive, "_rels/.rels", &top); err != nil {
		return err
	}
	workbook := "xl/workbook.xml"
	for _, r := range top.All {
		if strings.HasSuffix(r.Type, "/officeDocument") {
			workbook = strings.TrimPrefix(r.Target, "/")
		}
	}
	var book struct {
		Properties struct {
			Date1904 bool `xml:"date1904,attr"`
		} `xml:"workbookPr"`
		Sheets []struct {
			Name  string     `xml:"name,attr"`
			State string     `xml:"state,attr"`
			Attrs []xml.Attr `xml:",any,attr"`
		} `xml:"sheets>sheet"`
	}
	if err := decodePart(archive, workbook, &book); err != nil {
		return err
	}
	b.mac = book.Properties.Date1904
	dir, file := path.Split(workbook)
	var inside relations
	if err := decodePart(archive, dir+"_rels/"+file+".rels", &inside); err != nil {
		return err
	}
	for _, r := range inside.All {
		switch {
		case strings.HasSuffix(r.Type, "/sharedStrings"):
			b.strings = target(dir, r.Target)
		case strings.HasSuffix(r.Type, "/styles"):
			b.styles = target(dir, r.Target)
		}
	}
	for _, s := range book.Sheets {
		for _, a := range s.Attrs {
			if a.Name.Local != "id" {
				continue // of its own namespace, which differs between the two forms of the standard
			}
			for _, r := range inside.All {
				if r.ID == a.Value && strings.HasSuffix(r.Type, "/worksheet") {
					b.sheets = append(b.sheets, part{s.Name, target(dir, r.Target), s.State != "" && s.State != "visible"})
				}
			}
		}
	}
	return nil
}

func target(dir, name string) string {
	if rooted, ok := strings.CutPrefix(name, "/"); ok {
		return rooted
	}
	return path.Join(dir, name)
}

func (b *Book) Sheets() []string {
	names := make([]string, len(b.sheets))
	for i, s := range b.sheets {
		names[i] = s.name
	}
	return names
}

// First is the first sheet that is shown; the first of all where none is.
func (b *Book) First() string {
	for _, s := range b.sheets {
		if !s.hidden {
			return s.name
		}
	}
	return b.sheets[0].name
}

// Find is the name of a sheet as the book spells it: Excel does not tell "a" from "A" there. "" = there is none.
func (b *Book) Find(name string) string {
	for _, s := range b.sheets {
		if strings.EqualFold(strings.TrimSpace(name), strings.TrimSpace(s.name)) {
			return s.name
		}
	}
	return ""
}
