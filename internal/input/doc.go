// Package input reads files of questions: .jsonl, .json, .csv, .tsv, .xlsx and .txt, compressed or not, in any of the
// encodings and with any of the delimiters in which they come.
//
// [Open] finds out how a file is to be read before its first row. [Input.Check] reads all of it once and reports everything
// that is wrong with it. [Input.Rows] then yields its rows as often as wanted. One type does one step of that:
//
//	file      the bytes: a file, a pipe, memory; nothing of it may change once it is checked (blocks.go)
//	sniffer   detects encoding, ends of lines, delimiter
//	decoder   makes UTF-8 of the bytes
//	book      the sheet of an .xlsx
//	names     which columns and fields mean what
//	objects, openAI, Requests, table    fill a [Row] from an object, a request to OpenAI's API or the cells of a row
//	reader    puts these together: content in, rows out (rows.go); row.go builds a row's question and checks it
//
// What a row holds beside its question is passed through to the output.
//
// An input is never held as a whole: a row costs a hash of its custom_id while the input is checked. A file that changes
// between its check and the reading of its rows is [ErrEdited].
//
// The package makes a [tasks.Chat] of each row, and knows neither the queue nor what becomes of it.
package input
