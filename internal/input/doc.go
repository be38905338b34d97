// Package input reads files of questions: .jsonl, .json, .csv, .tsv, .xlsx and .txt, compressed or not, in any of the
// encodings and with any of the delimiters in which they come.
//
// [Open] finds out how a file is to be read before its first row: sniff.go finds encoding, ends of lines, delimiter and
// sheet. [Input.Check] reads all of it once and reports everything that is wrong with it. [Input.Rows] then yields its rows
// as often as wanted: objects.go, openai.go, rows.go and table.go (whose cells come from cells.go) fill a [Row], and row.go
// puts its question together and checks it. What a row holds beside its question is passed through to the output.
//
// An input is never held as a whole: a row costs a hash of its custom_id while the input is checked. A file that changes
// between its check and the reading of its rows is [ErrEdited].
//
// The package makes a [tasks.Chat] of each row, and knows neither the queue nor what becomes of it.
package input
