package batches

import (
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
)

// States are the states of a batch's rows at one moment. Rows count from 1.
type States struct {
	states string
	asks   string // shorter than states where the last rows were asked once
}

// Len is the number of rows.
func (s *States) Len() int { return len(s.states) }

// Status is a row's state.
func (s *States) Status(row int) results.Status { return tally.Status(s.states[row-1]) }

// Ask is the how manieth ask of a row is its current one, from 1.
func (s *States) Ask(row int) int {
	if row > len(s.asks) {
		return 1
	}
	return int(s.asks[row-1]) + 1
}

// rows returns the rows of which want is true.
func (s *States) rows(want func(results.Status) bool) (rows []int) {
	for row := 1; row <= s.Len(); row++ {
		if want(s.Status(row)) {
			rows = append(rows, row)
		}
	}
	return rows
}
