package input

import "github.com/cozeq/cozeq/internal/parquet"

// AnswerColumns follow the input's columns in a table. A new one goes to the end; package output fills it in (columns.go there).
var AnswerColumns = []parquet.Column{
	{Name: "answer"},
	{Name: "status"},
	{Name: "error_code", Type: parquet.Number},
	{Name: "error_msg"},
	{Name: "token_count", Type: parquet.Number},
	{Name: "conversation_id"},
	{Name: "chat_id"},
	{Name: "asks_back"},
	{Name: "possible_duplicate", Type: parquet.Bool},
}

// OldColumns is how many of AnswerColumns every version has written.
const OldColumns = 7

// AnswerNames are the names of AnswerColumns.
var AnswerNames = make([]string, len(AnswerColumns))

func init() {
	for i, column := range AnswerColumns {
		AnswerNames[i] = column.Name
	}
}
