package tally

import "github.com/cozeq/cozeq/results"

// States are the states of a batch's rows at one moment. Rows count from 1.
type States struct {
	states string
	asks   string // shorter than states if the last rows have had one attempt
}

func NewStates(states, asks string) States { return States{states, asks} }

func (s *States) Len() int { return len(s.states) }

func (s *States) Status(row int) results.Status { return Status(s.states[row-1]) }

// Attempt is the number of a row's current attempt, from 1.
func (s *States) Attempt(row int) int {
	if row > len(s.asks) {
		return 1
	}
	return int(s.asks[row-1]) + 1
}

func (s *States) Rows(want func(results.Status) bool) (rows []int) {
	for row := 1; row <= s.Len(); row++ {
		if want(s.Status(row)) {
			rows = append(rows, row)
		}
	}
	return rows
}

func (s *States) TaskIDs(batch string, rows []int) []string {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = TaskID(batch, row, s.Attempt(row))
	}
	return ids
}
