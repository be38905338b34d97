// Package sheet reads and writes the rows of .xlsx files, without ever holding a sheet in memory.
//
// [Open] looks at a file's parts. [Book.Unpack] goes once through one sheet and writes its rows, as a person sees them,
// to a temporary file, which [Table.Rows] reads as often as wanted: the workbook is closed by then, and a later pass costs
// no XML. [Writer] writes a sheet row by row.
//
// What a cell shows (number formats, dates, shared and rich text) is excelize's to say. Beside it the package reads the
// same XML itself, as excelize passes over what it cannot read: a sheet that is cut short would be one with fewer rows, a
// shared text that is not there an empty cell, a date without its style a number. What is stored and what excelize shows
// are compared cell by cell; where they do not agree the cell is [Damaged]. From there come also what a cell is ([Mark])
// and the digits of long numbers.
//
// It may import no package of this module, and internal/input and internal/output are its users.
package sheet
