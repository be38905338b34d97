package tasks

import (
	"strconv"
	"strings"
)

// BatchTaskID names the task of a batch's row, from 1: BATCH-N, and BATCH-N.2,
// BATCH-N.3, ... where the row is asked anew. An id is never used for a second ask.
func BatchTaskID(batch string, row, ask int) string {
	id := batch + "-" + strconv.Itoa(row)
	if ask > 1 {
		id += "." + strconv.Itoa(ask)
	}
	return id
}

// ParseBatchTaskID takes apart what BatchTaskID has made.
func ParseBatchTaskID(id string) (batch string, row, ask int, ok bool) {
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
	// Only the one spelling that BatchTaskID has is a name of ours.
	if err != nil || row < 1 || BatchTaskID(id[:i], row, ask) != id {
		return "", 0, 0, false
	}
	return id[:i], row, ask, true
}

// maxBatchID leaves room for the longest row and ask behind it.
const maxBatchID = 180

// ValidateBatchID checks a batch's id: letters, digits and . _ : - only, at most 180
// of them.
func ValidateBatchID(id string) error {
	if len(id) > maxBatchID || !idPattern.MatchString(id) {
		return invalid("batch_id", "%q, want 1 to %d letters, digits or any of . _ : -", id, maxBatchID)
	}
	return nil
}
