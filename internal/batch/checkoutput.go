package batch

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// CheckOutput finds out whether an OUTPUT can be written to path, as far as that can be told without its input: its
// format, and that there is a directory. What cannot be is a *UsageError, or the system's.
func CheckOutput(path string) error {
	if path == "-" {
		return &UsageError{What: "-o -: stdout is no file", Hint: "leave -o out, then the records go to stdout"}
	}
	if _, _, err := outputFormat(path); err != nil {
		return err
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || !dir.IsDir() {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = &fs.PathError{Op: "write", Path: path, Err: syscall.ENOENT}
		}
		return err
	}
	output, err := os.Stat(path)
	if err == nil && !output.Mode().IsRegular() {
		return &UsageError{What: path + " is not a file", Hint: "write to another one"}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// CheckFor finds out, before anything is asked, whether the answers to an input can be written to path: as CheckOutput
// does, and an *InvalidInput if it is texts of the input that do not go into an xlsx.
func CheckFor(ctx context.Context, in *Input, path string) error {
	if err := CheckOutput(path); err != nil {
		return err
	}
	if output, err := os.Stat(path); err == nil {
		same, err := in.isFile(output)
		if err != nil {
			return err
		}
		if same {
			return &UsageError{What: path + " is the input", Hint: "write to another file"}
		}
	}
	if format, _, err := outputFormat(path); err != nil || format != XLSX {
		return err
	}
	return in.fitsSheet(ctx)
}
