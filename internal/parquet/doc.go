// Package parquet writes tables as Parquet, and reads back what it has written: columns of texts, whole numbers, truth values
// and times, whose empty cells are nulls. A column's values of a group of rows are one page, plain and packed with gzip,
// which every reader takes.
//
// Of the library it uses the metadata alone: the whole of it would add 8 MB to the program.
package parquet

import "github.com/parquet-go/parquet-go/format"

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
}

// Type is what the cells of a column are.
type Type int

// Types. A cell is a text in each of them.
const (
	Text   Type = iota
	Number      // a whole number, INT64
	Bool        // "true" or "false"
	Time        // RFC 3339, a TIMESTAMP of milliseconds in UTC
)

// timeLayout is how a time is read back.
const timeLayout = "2006-01-02T15:04:05.000Z"

// magic begins and ends a file.
const magic = "PAR1"

// creator tells our own files from others.
const creator = "cozeq"

// codec packs pages.
const codec = format.Gzip
