package output

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/usage"
)

// Check reports whether an OUTPUT can be written to path, as far as that is known without its input: its format, and that
// the directory exists. Its error is a *usage.Error, or the system's.
func Check(path string) error {
	if path == "-" {
		return &usage.Error{What: "-o -: stdout is no file", Hint: "leave -o out, then the records go to stdout"}
	}
	if _, _, err := input.OutputFormat(path); err != nil {
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
		return &usage.Error{What: path + " is not a file", Hint: "write to another one"}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// CheckFor reports, before anything is asked, whether the answers to an input can be written to path: as Check does, and
// with an *input.InvalidInput if texts of the input do not fit into an xlsx.
func CheckFor(ctx context.Context, in *input.Input, path string) error {
	if err := Check(path); err != nil {
		return err
	}
	if output, err := os.Stat(path); err == nil {
		same, err := in.IsFile(output)
		if err != nil {
			return err
		}
		if same {
			return &usage.Error{What: path + " is the input", Hint: "write to another file"}
		}
	}
	if format, _, err := input.OutputFormat(path); err != nil || format != input.XLSX {
		return err
	}
	return in.FitsSheet(ctx)
}
