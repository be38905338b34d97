package batches

import (
	"fmt"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/tasks"
)

// TaskID is the id of the task of a batch's row: BATCH-N, and BATCH-N.2, BATCH-N.3, ... for later attempts. Row and
// attempt count from 1.
func TaskID(batch string, row, attempt int) string { return tally.TaskID(batch, row, attempt) }

// ParseTaskID takes apart what TaskID has made.
func ParseTaskID(id string) (batch string, row, attempt int, ok bool) { return tally.ParseTaskID(id) }

// maxID leaves room for the longest row and attempt behind it.
const maxID = 180

// ValidateID checks the id of a batch: 1 to 180 letters, digits and . _ : -
func ValidateID(id string) error {
	if len(id) > maxID || tasks.ValidateID(id) != nil {
		return invalid("batch_id", "%q, want 1 to %d letters, digits or any of . _ : -", id, maxID)
	}
	return nil
}

func invalid(field, format string, args ...any) error {
	return &tasks.InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Names of the encrypted fields of a batch, as results.Keys binds them.
const (
	fieldColumns = "columns"
	fieldShape   = "shape"
	fieldNote    = "note"
)

func fieldRows(chunk int) string { return fmt.Sprintf("rows/%d", chunk) }
