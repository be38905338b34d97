package batches

import (
	"fmt"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/tasks"
)

// TaskID names the task of a batch's row, from 1: BATCH-N, and BATCH-N.2,
// BATCH-N.3, ... where the row is asked anew. An id is never used for a second ask.
func TaskID(batch string, row, ask int) string { return tally.TaskID(batch, row, ask) }

// ParseTaskID takes apart what TaskID has made.
func ParseTaskID(id string) (batch string, row, ask int, ok bool) { return tally.ParseTaskID(id) }

// maxID leaves room for the longest row and ask behind it.
const maxID = 180

// ValidateID checks a batch's id: letters, digits and . _ : - only, at most 180
// of them.
func ValidateID(id string) error {
	if len(id) > maxID || tasks.ValidateID(id) != nil {
		return invalid("batch_id", "%q, want 1 to %d letters, digits or any of . _ : -", id, maxID)
	}
	return nil
}

func invalid(field, format string, args ...any) error {
	return &tasks.InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// The fields of a batch that are encrypted as a whole, as they stand in the additional
// data: see results.Keys.
const (
	fieldColumns = "columns"
	fieldShape   = "shape"
)

// fieldRows is that of a chunk of a batch's rows.
func fieldRows(chunk int) string { return fmt.Sprintf("rows/%d", chunk) }
