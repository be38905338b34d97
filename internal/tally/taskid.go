package tally

import (
	"strconv"
	"strings"
)

// TaskID is the id of the task of a batch's row: BATCH-N, and BATCH-N.2, BATCH-N.3, ... for later attempts. Row and
// attempt count from 1.
func TaskID(batch string, row, attempt int) string {
	id := batch + "-" + strconv.Itoa(row)
	if attempt > 1 {
		id += "." + strconv.Itoa(attempt)
	}
	return id
}

func ParseTaskID(id string) (batch string, row, attempt int, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i < 1 {
		return "", 0, 0, false
	}
	number, again, retried := strings.Cut(id[i+1:], ".")
	attempt = 1
	row, err := strconv.Atoi(number)
	if err == nil && retried {
		attempt, err = strconv.Atoi(again)
	}
	if err != nil || row < 1 || TaskID(id[:i], row, attempt) != id { // only TaskID's own spelling counts
		return "", 0, 0, false
	}
	return id[:i], row, attempt, true
}
