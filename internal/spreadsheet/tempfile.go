package spreadsheet

import (
	"errors"
	"os"
)

// tempFile is a file that is gone once it is closed.
type tempFile struct {
	*os.File
	named bool
}

// newTempFile makes one. It loses its name at once, where a system allows that for an open file, so that a process that is
// killed leaves nothing behind.
func newTempFile() (*tempFile, error) {
	file, err := os.CreateTemp("", "cozeq-sheet-*")
	if err != nil {
		return nil, err
	}
	return &tempFile{File: file, named: os.Remove(file.Name()) != nil}, nil
}

func (f *tempFile) Close() error {
	err := f.File.Close()
	if f.named {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
