// Package parquet writes tables as Parquet, and reads back what it has written: columns of texts and of whole numbers, whose
// empty cells are nulls. A column's values of a group of rows are one page, plain and packed with gzip, which every reader
// takes.
//
// Of the library it uses the metadata alone: the whole of it would add 8 MB to the program.
package parquet

import "github.com/parquet-go/parquet-go/format"

// Column is a column of a table.
type Column struct {
	Name   string
	Number bool // its cells are whole numbers
}

// magic begins and ends a file.
const magic = "PAR1"

// creator tells our own files from others.
const creator = "cozeq"

// codec packs pages.
const codec = format.Gzip
