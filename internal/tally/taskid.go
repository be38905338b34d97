package tally

import (
	"strconv"
	"strings"
)

// TaskID names the task of a batch's row, from 1: BATCH-N, and BATCH-N.2,
// BATCH-N.3, ... where the row is asked anew. An id is never used for a second ask.
func TaskID(batch string, row, ask int) string {
	id := batch + "-" + strconv.Itoa(row)
	if ask > 1 {
		id += "." + strconv.Itoa(ask)
	}
	return id
}

// ParseTaskID takes apart what TaskID has made.
func ParseTaskID(id string) (batch string, row, ask int, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i < 1 {
		return "", 0, 0, false
	}
	number, again, retried := strings.Cut(id[i+1:], ".")
	ask = 1
	row, err := strconv.Atoi(number)
	if err == nil && retried {
		ask, err = strconv.Atoi(again)
	}
	// Only the one spelling that TaskID has is a name of ours.
	if err != nil || row < 1 || TaskID(id[:i], row, ask) != id {
		return "", 0, 0, false
	}
	return id[:i], row, ask, true
}
