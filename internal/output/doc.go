// Package output writes files of answers, one record for each row of an input, in its order: .jsonl and .json, or a table
// with the columns of the input followed by those of the answer. A file appears under its name only when it is complete.
//
// It reads such files back, too, in whatever encoding and with whatever delimiters somebody has saved them since: for their
// failed rows, and to verify them.
package output
