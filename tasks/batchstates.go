package tasks

import "github.com/cozeq/cozeq/results"

// BatchStates are the states of a batch's rows at one moment. Rows count from 1.
type BatchStates struct {
	states string
	asks   string // shorter than states where the last rows were asked once
}

// Len is the number of rows.
func (s *BatchStates) Len() int { return len(s.states) }

// Status is a row's state.
func (s *BatchStates) Status(row int) results.Status { return statuses[s.states[row-1]] }

// Ask is the how manieth ask of a row is its current one, from 1.
func (s *BatchStates) Ask(row int) int {
	if row > len(s.asks) {
		return 1
	}
	return int(s.asks[row-1]) + 1
}

// statuses are the letters read backwards.
var statuses = func() (of [256]results.Status) {
	for status, letter := range letters {
		of[letter[0]] = status
	}
	return of
}()

// maxAsks is how often a row of a detached batch may be asked in all: its ask is a byte.
// What a run asks more often counts as its last ask.
const maxAsks = 256

// rows returns the rows of which want is true.
func (s *BatchStates) rows(want func(results.Status) bool) (rows []int) {
	for row := 1; row <= s.Len(); row++ {
		if want(s.Status(row)) {
			rows = append(rows, row)
		}
	}
	return rows
}
