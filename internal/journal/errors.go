package journal

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrLocked is the error of a journal that another process is writing.
var ErrLocked = errors.New("another run is writing it")

// ChangedError says that a run cannot resume, as it was begun with another input.
type ChangedError struct {
	File string // the journal, or the OUTPUT whose failed rows were to be asked again
	What string // what differs
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s belongs to another input (%s): give the input as it was, write to another file, or start over with --force", e.File, e.What)
}

// ErrClosed is the error of writing to a journal after Close.
var ErrClosed = errors.New("the run has ended")

// writeError is a journal that cannot be written. It ends the run, which must not ask what it cannot write down.
type writeError struct {
	path string
	err  error
}

func (e *writeError) Error() string {
	if _, named := errors.AsType[*fs.PathError](e.err); named {
		return e.err.Error() // it says what was done, and to which file
	}
	return "write " + e.path + ": " + e.err.Error()
}

func (e *writeError) Unwrap() error { return e.err }

func IsWriteError(err error) bool {
	_, is := errors.AsType[*writeError](err)
	return is
}
