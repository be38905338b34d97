package parquet

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// ErrForeign is the error for a file that this package has not written.
var ErrForeign = errors.New("not a Parquet file of cozeq's")

// errDamaged is the error for one that was changed since.
var errDamaged = fmt.Errorf("%w: it is damaged", ErrForeign)

// What is read into memory on the word of a file: its end, and a page as it is unpacked. A page of ours has 8 MiB, and one cell
// more, which is an answer of 256 MiB (--max-answer) at the most.
const (
	mostFooter = 64 << 20
	mostPage   = 320 << 20
)

// Reader reads a file that a Writer wrote.
type Reader struct {
	Columns []Column
	r       io.ReaderAt
	size    int64
	file    format.FileMetaData
}

// NewReader reads the end of a file, which says what is in it.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	const tail = 4 + len(magic)
	var end [tail]byte
	if size < int64(tail+len(magic)) {
		return nil, ErrForeign
	}
	if _, err := r.ReadAt(end[:], size-int64(tail)); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if string(end[4:]) != magic || n > min(mostFooter, size-int64(tail)) {
		return nil, ErrForeign
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-int64(tail)-n); err != nil {
		return nil, err
	}
	t := &Reader{r: r, size: size}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, &t.file); err != nil || t.file.CreatedBy != creator || len(t.file.Schema) < 2 {
		return nil, ErrForeign
	}
	for _, e := range t.file.Schema[1:] {
		t.Columns = append(t.Columns, Column{Name: e.Name, Type: typeOf(&e)})
	}
	return t, nil
}

func typeOf(e *format.SchemaElement) Type {
	switch _, time := e.LogicalType.Value.(*format.TimestampType); {
	case time:
		return Time
	case e.Type.V == format.Int64:
		return Number
	case e.Type.V == format.Boolean:
		return Bool
	}
	return Text
}

func (t *Reader) Rows() iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for _, group := range t.file.RowGroups {
			if len(group.Columns) != len(t.Columns) || group.NumRows < 0 || group.NumRows > groupRows {
				yield(nil, errDamaged)
				return
			}
			columns := make([][]string, len(t.Columns))
			for i := range columns {
				var err error
				if columns[i], err = t.page(&group.Columns[i].MetaData, int(group.NumRows), t.Columns[i].Type); err != nil {
					yield(nil, err)
					return
				}
			}
			for n := range int(group.NumRows) {
				cells := make([]string, len(columns))
				for i := range columns {
					cells[i] = columns[i][n]
				}
				if !yield(cells, nil) {
					return
				}
			}
		}
	}
}

func (t *Reader) page(c *format.ColumnMetaData, rows int, kind Type) ([]string, error) {
	if c.DataPageOffset < 0 || c.DataPageOffset > t.size || c.TotalCompressedSize < 0 || c.TotalCompressedSize > t.size-c.DataPageOffset {
		return nil, errDamaged
	}
	chunk := make([]byte, c.TotalCompressedSize)
	if _, err := t.r.ReadAt(chunk, c.DataPageOffset); err != nil {
		return nil, err
	}
	r := bytes.NewReader(chunk)
	var header format.PageHeader
	if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(r)).Decode(&header); err != nil {
		return nil, errDamaged
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, errDamaged
	}
	size := int64(header.UncompressedPageSize)
	if size < 4 || size > mostPage {
		return nil, errDamaged
	}
	plain, err := io.ReadAll(io.LimitReader(z, size+1))
	if err != nil || int64(len(plain)) != size {
		return nil, errDamaged
	}
	n := binary.LittleEndian.Uint32(plain)
	if plain = plain[4:]; uint64(n) > uint64(len(plain)) {
		return nil, errDamaged
	}
	return decode(plain[:n], plain[n:], rows, kind)
}

func decode(levels, plain []byte, rows int, kind Type) ([]string, error) {
	cells, bits := make([]string, 0, rows), 0
	for len(levels) > 0 {
		run, n := binary.Uvarint(levels)
		if n <= 0 || n >= len(levels) || run&1 != 0 || run>>1 > uint64(rows-len(cells)) {
			return nil, errDamaged
		}
		there := levels[n] == 1
		levels = levels[n+1:]
		for range run >> 1 {
			cell := ""
			switch {
			case !there:
			case kind == Bool && bits/8 < len(plain):
				cell = strconv.FormatBool(plain[bits/8]>>(bits%8)&1 == 1)
				bits++
			case (kind == Number || kind == Time) && len(plain) >= 8:
				n := int64(binary.LittleEndian.Uint64(plain))
				if cell, plain = strconv.FormatInt(n, 10), plain[8:]; kind == Time {
					cell = time.UnixMilli(n).UTC().Format(timeLayout)
				}
			case kind == Text && len(plain) >= 4 && uint64(binary.LittleEndian.Uint32(plain)) <= uint64(len(plain)-4):
				end := 4 + int(binary.LittleEndian.Uint32(plain))
				cell, plain = string(plain[4:end]), plain[end:]
			default:
				return nil, errDamaged
			}
			cells = append(cells, cell)
		}
	}
	if len(cells) != rows {
		return nil, errDamaged
	}
	return cells, nil
}
