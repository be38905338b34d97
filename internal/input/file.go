package input

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// file is an input's bytes, which are read from their beginning as often as wanted.
type file struct {
	name    string // for errors: its path, or stdin
	data    io.ReaderAt
	disk    *os.File // the data, unless they are in memory
	live    *live    // a pipe that is read as it is written, data being its beginning; nil: all of it is there
	spooled bool     // disk is a temporary copy that still has its name
	checked *blocks  // of the content as it was checked, of an xlsx as it was unpacked; nil = not known yet
}

// openFile opens the file at path, or stdin for "-". A pipe, which can be read only once, is copied to a temporary file.
func openFile(path string, format Format, o *Options) (f *file, err error) {
	f = &file{name: path}
	if path == "-" {
		f.name = stdinName
		err = f.openStdin(format, o)
	} else {
		err = f.openPath(path, format)
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

const stdinName = "stdin"

func (f *file) openPath(path string, format Format) error {
	disk, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := disk.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = directoryError(path)
	case !info.Mode().IsRegular():
		err = f.spool(disk, format)
	default:
		f.data, f.disk = disk, disk
		return nil
	}
	return errors.Join(err, disk.Close())
}

func (f *file) openStdin(format Format, o *Options) error {
	stdin := o.Stdin
	switch {
	case o.Content != nil && format == XLSX: // is opened by its name
		return f.spool(bytes.NewReader(o.Content), format)
	case o.Content != nil:
		f.data = bytes.NewReader(o.Content)
		return nil
	case stdin == nil:
		stdin = os.Stdin
	}
	if o.Live && format != XLSX && format != JSON && isPipe(stdin) {
		f.live = openLive(stdin)
		f.data = bytes.NewReader(f.live.head)
		if !bytes.HasPrefix(f.live.head, magicGzip) {
			return nil
		}
		stdin, f.live = f.live.content(context.Background(), func() error { return nil }), nil
	}
	return f.spool(stdin, format)
}

func (f *file) spool(r io.Reader, format Format) error {
	disk, err := os.CreateTemp("", "cozeq-input-*")
	if err != nil {
		return fmt.Errorf("copy %s: %w", f.name, err)
	}
	f.data, f.disk, f.spooled = disk, disk, true
	if _, err := io.Copy(disk, r); err != nil {
		return fmt.Errorf("copy %s to %s: %w", f.name, disk.Name(), err)
	}
	if format != XLSX {
		f.forget()
	}
	return nil
}

// forget removes the name of a copy, where a system allows that for an open file, so that a process that is killed leaves
// nothing behind. An .xlsx is opened by its name until it is unpacked.
func (f *file) forget() {
	if f.spooled {
		f.spooled = os.Remove(f.disk.Name()) != nil
	}
}

func (f *file) close() error {
	if f.disk == nil {
		return nil
	}
	err := f.disk.Close()
	if f.spooled {
		err = errors.Join(err, os.Remove(f.disk.Name()))
	}
	f.disk = nil
	return err
}

// content reads the file from its beginning. Content that has changed since it was checked is ErrEdited. Readers of one
// file are independent.
func (f *file) content() io.Reader {
	if f.checked != nil {
		return f.checked.read(f.data)
	}
	return io.NewSectionReader(f.data, 0, math.MaxInt64)
}

func (f *file) dir() string {
	if f.name == stdinName {
		return "."
	}
	return filepath.Dir(f.name)
}

func (f *file) readError(err error) error { return fmt.Errorf("read %s: %w", f.name, err) }

func (f *file) problem(line int, format string, args ...any) *Problem {
	return &Problem{File: f.name, Line: line, What: fmt.Sprintf(format, args...)}
}
