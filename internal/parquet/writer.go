package parquet

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A group of rows is written when it has one of these: it is in memory until then.
const (
	groupRows  = 64 << 10
	groupBytes = 8 << 20
)

// Writer writes a file. What stands behind an error is no file.
type Writer struct {
	w       io.Writer
	at      int64 // what was written
	columns []column
	rows    int // of the group
	bytes   int
	file    format.FileMetaData
}

type column struct {
	Column
	levels []bool // for each cell whether it has a value
	plain  []byte
	bits   int // of a Bool: how many values there are
}

func NewWriter(w io.Writer, columns []Column) (*Writer, error) {
	t := &Writer{w: w, file: format.FileMetaData{Version: 1, CreatedBy: creator}}
	t.file.Schema = thrift.Slice[format.SchemaElement]{{Name: "row", NumChildren: thrift.New(int32(len(columns)))}}
	for _, c := range columns {
		t.columns = append(t.columns, column{Column: c})
		e := format.SchemaElement{Name: c.Name, Type: thrift.New(c.Type.physical()), RepetitionType: thrift.New(format.Optional)}
		switch c.Type {
		case Text:
			e.ConvertedType = thrift.New(deprecated.UTF8)
			e.LogicalType = format.LogicalType{Value: new(format.StringType)}
		case Time:
			e.ConvertedType = thrift.New(deprecated.TimestampMillis)
			e.LogicalType = format.LogicalType{Value: &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: new(format.MilliSeconds)}}}
		}
		t.file.Schema = append(t.file.Schema, e)
	}
	return t, t.write([]byte(magic))
}

func (t Type) physical() format.Type {
	switch t {
	case Text:
		return format.ByteArray
	case Bool:
		return format.Boolean
	}
	return format.Int64
}

func (t *Writer) write(b []byte) error {
	n, err := t.w.Write(b)
	t.at += int64(n)
	return err
}

// Write writes a row: a cell for each column. An empty one is null.
func (t *Writer) Write(cells []string) error {
	for i := range t.columns {
		c, cell := &t.columns[i], strings.ToValidUTF8(cells[i], "\uFFFD")
		c.levels = append(c.levels, cell != "")
		if cell != "" {
			if err := c.add(cell); err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
		t.bytes += len(cell)
	}
	if t.rows++; t.rows == groupRows || t.bytes >= groupBytes {
		return t.flush()
	}
	return nil
}

func (c *column) add(cell string) error {
	switch c.Type {
	case Number:
		n, err := strconv.ParseInt(cell, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no whole number", cell)
		}
		c.plain = binary.LittleEndian.AppendUint64(c.plain, uint64(n))
	case Time:
		at, err := time.Parse(time.RFC3339, cell)
		if err != nil {
			return fmt.Errorf("%q is no time", cell)
		}
		c.plain = binary.LittleEndian.AppendUint64(c.plain, uint64(at.UnixMilli()))
	case Bool: // eight of them are a byte, from its lowest bit on
		if c.bits%8 == 0 {
			c.plain = append(c.plain, 0)
		}
		if cell == "true" {
			c.plain[c.bits/8] |= 1 << (c.bits % 8)
		}
		c.bits++
	default:
		c.plain = binary.LittleEndian.AppendUint32(c.plain, uint32(len(cell)))
		c.plain = append(c.plain, cell...)
	}
	return nil
}

func (t *Writer) flush() error {
	if t.rows == 0 {
		return nil
	}
	group := format.RowGroup{NumRows: int64(t.rows), FileOffset: t.at, Ordinal: int16(len(t.file.RowGroups))}
	for i := range t.columns {
		c := &t.columns[i]
		at := t.at
		size, err := t.page(c)
		if err != nil {
			return err
		}
		group.Columns = append(group.Columns, format.ColumnChunk{FileOffset: at, MetaData: format.ColumnMetaData{
			Type: c.Type.physical(), Encoding: thrift.Slice[format.Encoding]{format.Plain, format.RLE}, PathInSchema: thrift.Slice[string]{c.Name},
			Codec: codec, NumValues: int64(t.rows), DataPageOffset: at, TotalCompressedSize: t.at - at, TotalUncompressedSize: size,
		}})
		group.TotalByteSize += size
		group.TotalCompressedSize += t.at - at
		c.levels, c.plain, c.bits = c.levels[:0], c.plain[:0], 0
	}
	t.file.RowGroups = append(t.file.RowGroups, group)
	t.file.NumRows += int64(t.rows)
	t.rows, t.bytes = 0, 0
	return nil
}

// page writes a column's cells. size is that of the page before it is packed, with its header.
func (t *Writer) page(c *column) (size int64, err error) {
	levels := encodeLevels(c.levels)
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(levels)))
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // a third of the time for a tenth more bytes
	if err != nil {
		return 0, err
	}
	for _, part := range [][]byte{head, levels, c.plain} {
		if _, err := z.Write(part); err != nil {
			return 0, err
		}
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	plain := len(head) + len(levels) + len(c.plain)
	header, err := thrift.Marshal(new(thrift.CompactProtocol), &format.PageHeader{
		Type: format.DataPage, UncompressedPageSize: int32(plain), CompressedPageSize: int32(packed.Len()),
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(len(c.levels)), Encoding: format.Plain, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	})
	if err != nil {
		return 0, err
	}
	if err := t.write(header); err != nil {
		return 0, err
	}
	return int64(len(header) + plain), t.write(packed.Bytes())
}

// encodeLevels writes runs of equal levels: the length of each, twice, as a varint, and its level.
func encodeLevels(levels []bool) (b []byte) {
	for from := 0; from < len(levels); {
		to := from
		for to < len(levels) && levels[to] == levels[from] {
			to++
		}
		b = binary.AppendUvarint(b, uint64(to-from)<<1)
		level := byte(0)
		if levels[from] {
			level = 1
		}
		b, from = append(b, level), to
	}
	return b
}

// Close completes the file. It does not close w.
func (t *Writer) Close() error {
	if err := t.flush(); err != nil {
		return err
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &t.file)
	if err != nil {
		return err
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return t.write(append(footer, magic...))
}
