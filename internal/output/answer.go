package output

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

func answerCells(r *results.Result) []string {
	cells := make([]string, len(input.AnswerColumns))
	cells[0], cells[1] = r.Answer, string(r.Status)
	if e := r.Error; e != nil {
		if e.Code != 0 {
			cells[2] = strconv.Itoa(e.Code)
		}
		cells[3] = e.Message
	}
	if u := r.Usage; u != nil {
		cells[4] = strconv.FormatInt(u.TokenCount, 10)
	}
	cells[5], cells[6], cells[7] = r.ConversationID, r.ChatID, r.AsksBack
	if r.PossibleDuplicate {
		cells[8] = "true"
	}
	return cells
}

// answerOf reads back what answerCells wrote, or only the first input.OldColumns of it.
func answerOf(cells []string) (*results.Result, error) {
	r := &results.Result{
		Answer: cells[0], Status: results.Status(cells[1]), ConversationID: cells[5], ChatID: cells[6],
	}
	if !r.Status.Terminal() {
		return nil, fmt.Errorf("%q is not a status", cells[1])
	}
	if cells[2] != "" || cells[3] != "" {
		r.Error = &results.Failure{Message: cells[3]}
		if cells[2] != "" {
			code, err := strconv.Atoi(cells[2])
			if err != nil {
				return nil, fmt.Errorf("%q is not an error's code", cells[2])
			}
			r.Error.Code = code
		}
	}
	if cells[4] != "" {
		n, err := strconv.ParseInt(cells[4], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number of tokens", cells[4])
		}
		r.Usage = &results.Usage{TokenCount: n}
	}
	if len(cells) == len(input.AnswerColumns) {
		r.AsksBack, r.PossibleDuplicate = cells[7], strings.EqualFold(cells[8], "true") // a spreadsheet writes TRUE
	}
	// A table does not say whether the chat of a failed row has ended, and of one that was billed it may not have the id.
	r.PossibleDuplicate = r.PossibleDuplicate || r.Status == results.Failed && (r.ChatID != "" || r.Usage != nil)
	return r, nil
}
