package journal

import (
	"errors"
	"fmt"
)

// ErrLocked is wrapped by the error of a run whose journal another process is writing.
var ErrLocked = errors.New("another run is writing it")

// ChangedError says that a run cannot go on, as it was begun with another input.
type ChangedError struct {
	File string // the journal, or the OUTPUT whose failed rows were to be asked again
	What string // what differs
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s belongs to another input (%s): give the input as it was, write to another file, or start over with --force", e.File, e.What)
}
