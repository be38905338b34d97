// Package spreadsheet reads and writes the rows of .xlsx files, without ever holding a sheet in memory.
//
// [Open] looks at a file's parts. [Book.Unpack] goes once through one sheet and writes its rows, as a person sees them,
// to a temporary file, which [Table.Rows] reads as often as wanted: the workbook is closed by then, and a later pass costs
// no XML. [Writer] writes a sheet row by row.
//
// Which cells there are, and what is stored in them, the package reads itself: excelize passes over what it cannot read, so
// a sheet that is cut short would be one with fewer rows, a shared text that is not there an empty cell, a date without its
// style a number. Here they are [Damaged]. What a number format makes of a value is excelize's to say.
//
// It may import no package of this module, and internal/input and internal/output are its users.
package spreadsheet
