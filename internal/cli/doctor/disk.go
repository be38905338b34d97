package doctor

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/cozeq/cozeq/internal/terminal"
)

// How much room a disk should have. A journal takes some kilobytes for a question.
const (
	scarce  = 1 << 30
	tooFull = 64 << 20
)

// disk looks where a run writes: its output with the journal, and temporary files.
func (d *doctor) disk(context.Context) []finding {
	dir := "."
	if d.output != "" {
		dir = filepath.Dir(d.output)
	}
	return []finding{
		room("disk.output", dir, "give -o a directory where you may write, and that is there"),
		room("disk.temporary", os.TempDir(), "set TMPDIR to a directory where you may write"),
	}
}

// room checks one directory. It creates a file in it and removes it, because permissions alone do not say whether this
// process may write.
func room(name, dir, writable string) finding {
	shown := dir
	if whole, err := filepath.Abs(dir); err == nil {
		shown = whole
	}
	f, err := os.CreateTemp(dir, ".cozeq-doctor-*")
	if err != nil {
		if path, ok := errors.AsType[*os.PathError](err); ok {
			err = path.Err // the file's own name says nothing
		}
		return failed(name, writable, "%s: cannot write: %v", shown, err)
	}
	err = cmp.Or(f.Close(), os.Remove(f.Name()))
	if err != nil {
		return failed(name, writable, "%s: cannot write: %v", shown, err)
	}
	free, known := freeBytes(dir)
	const fix = "make room there, or write elsewhere: a journal takes some kilobytes for each question"
	switch {
	case !known:
		return well(name, "%s: may be written to; how much room there is is not known on this system", shown)
	case free < tooFull:
		return failed(name, fix, "%s: %s free", shown, terminal.Bytes(free))
	case free < scarce:
		return warned(name, fix, "%s: %s free", shown, terminal.Bytes(free))
	}
	return well(name, "%s: %s free", shown, terminal.Bytes(free))
}
