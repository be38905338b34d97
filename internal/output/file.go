package output

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// temporaryFile marks a file that is not in place yet. What a killed run leaves is overwritten by the next.
const temporaryFile = ".tmp"

// PutInPlace writes the file at path: write writes it under another name, check checks it, and then it is renamed.
func PutInPlace(path string, compressed bool, write func(io.Writer) error, check func(name string) error) error {
	name := path + temporaryFile
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, 256<<10)
	if compressed {
		packed := gzip.NewWriter(buffered)
		if err = write(packed); err == nil {
			err = packed.Close()
		}
	} else {
		err = write(buffered)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = check(name)
	}
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	// The new name must be on the disk before the journal is removed. Not every system can do that.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}
