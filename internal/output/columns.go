package output

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// answerColumn is one of input.AnswerColumns: get makes its cell, and set reads it back into a result.
type answerColumn struct {
	get func(r *results.Result) string
	set func(r *results.Result, cell string) error
}

var answerColumns = map[string]answerColumn{
	"answer":             text(func(r *results.Result) *string { return &r.Answer }),
	"status":             {func(r *results.Result) string { return string(r.Status) }, setStatus},
	"error_code":         {errorCode, setErrorCode},
	"error_msg":          {errorMessage, setErrorMessage},
	"token_count":        {tokenCount, setTokenCount},
	"conversation_id":    text(func(r *results.Result) *string { return &r.ConversationID }),
	"chat_id":            text(func(r *results.Result) *string { return &r.ChatID }),
	"asks_back":          text(func(r *results.Result) *string { return &r.AsksBack }),
	"possible_duplicate": {possibleDuplicate, setPossibleDuplicate},
}

func text(of func(r *results.Result) *string) answerColumn {
	return answerColumn{
		get: func(r *results.Result) string { return *of(r) },
		set: func(r *results.Result, cell string) error { *of(r) = cell; return nil },
	}
}

func setStatus(r *results.Result, cell string) error {
	if r.Status = results.Status(cell); !r.Status.Terminal() {
		return fmt.Errorf("%q is not a status", cell)
	}
	return nil
}

func errorCode(r *results.Result) string {
	if r.Error == nil || r.Error.Code == 0 {
		return ""
	}
	return strconv.Itoa(r.Error.Code)
}

func setErrorCode(r *results.Result, cell string) (err error) {
	if cell == "" {
		return nil
	}
	r.Error = new(results.Failure)
	if r.Error.Code, err = strconv.Atoi(cell); err != nil {
		return fmt.Errorf("%q is not an error's code", cell)
	}
	return nil
}

func errorMessage(r *results.Result) string {
	if r.Error == nil {
		return ""
	}
	return r.Error.Message
}

func setErrorMessage(r *results.Result, cell string) error {
	if cell != "" {
		r.Error = cmp.Or(r.Error, new(results.Failure))
		r.Error.Message = cell
	}
	return nil
}

func tokenCount(r *results.Result) string {
	if r.Usage == nil {
		return ""
	}
	return strconv.FormatInt(r.Usage.TokenCount, 10)
}

func setTokenCount(r *results.Result, cell string) (err error) {
	if cell == "" {
		return nil
	}
	r.Usage = new(results.Usage)
	if r.Usage.TokenCount, err = strconv.ParseInt(cell, 10, 64); err != nil {
		return fmt.Errorf("%q is not a number of tokens", cell)
	}
	return nil
}

func possibleDuplicate(r *results.Result) string {
	if !r.PossibleDuplicate {
		return ""
	}
	return "true"
}

func setPossibleDuplicate(r *results.Result, cell string) error {
	r.PossibleDuplicate = strings.EqualFold(cell, "true") // a spreadsheet writes TRUE
	return nil
}

func answerCells(r *results.Result) []string {
	cells := make([]string, len(input.AnswerNames))
	for i, name := range input.AnswerNames {
		cells[i] = answerColumns[name].get(r)
	}
	return cells
}

// answerOf reads back what answerCells wrote, or the first cells of it: input.OldColumns at least.
func answerOf(cells []string) (*results.Result, error) {
	r := new(results.Result)
	for i, cell := range cells {
		if err := answerColumns[input.AnswerNames[i]].set(r, cell); err != nil {
			return nil, err
		}
	}
	// A table does not say whether the chat of a failed row has ended, and of one that was billed it may not have the id.
	r.PossibleDuplicate = r.PossibleDuplicate || r.Status == results.Failed && (r.ChatID != "" || r.Usage != nil)
	return r, nil
}
