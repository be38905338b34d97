// Package upload takes a file out of a request into a temporary file, so that all of it can be checked before anything is
// done with it. A request is the file itself, or a multipart form that has it, with fields before and behind it.
//
// No more than 64 KiB of a file is in memory at a time.
package upload

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
)

// File is a file that has arrived. The caller closes it, which removes the temporary copy.
type File struct {
	*os.File
	Name   string // as the client has it, without directories; "" = it has none
	Type   string // its media type in lower case, without parameters; "" = not said
	Bytes  int64
	Fields url.Values // of the form, beside the file
}

// TooLargeError says that a file, or what stands beside it, is larger than it may be.
type TooLargeError struct {
	What  string
	Limit int64 // bytes
}

func (e *TooLargeError) Error() string {
	if e.Limit < 1e6 {
		return fmt.Sprintf("%s is larger than %d bytes", e.What, e.Limit)
	}
	return fmt.Sprintf("%s is larger than %d MB: split it", e.What, e.Limit/1e6)
}

// MalformedError says what is wrong with the form of a request.
type MalformedError struct{ What string }

func (e *MalformedError) Error() string { return e.What }

// DiskError is a fault of this machine's temporary directory.
type DiskError struct{ Err error }

func (e *DiskError) Error() string { return "keep the upload: " + e.Err.Error() }
func (e *DiskError) Unwrap() error { return e.Err }

// Bounds of a form.
const (
	maxFields = 64
	maxField  = 64 << 10
	maxParts  = 2 * maxFields
)

// Receive reads the file of a request, at most limit bytes. In a form it is the part named file; without Content-Type, or with
// any other than a form's, the body is the file. Errors are *TooLargeError, *MalformedError, *DiskError, or those of reading
// the body: the client has hung up. Nothing is left on the disk then.
func Receive(r *http.Request, limit int64) (*File, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return nil, &MalformedError{What: fmt.Sprintf("Content-Type: %v", err)}
	}
	if r.ContentLength > limit+maxParts*maxField {
		return nil, &TooLargeError{What: "the file", Limit: limit}
	}
	f, err := create()
	if err != nil {
		return nil, err
	}
	if media == "multipart/form-data" {
		err = f.readForm(r.Body, params["boundary"], limit)
	} else {
		f.Type = media
		if _, disposition, wrong := mime.ParseMediaType(r.Header.Get("Content-Disposition")); wrong == nil {
			f.Name = base(disposition["filename"])
		}
		err = f.read(r.Body, limit)
	}
	if err == nil {
		if _, err = f.Seek(0, io.SeekStart); err != nil {
			err = &DiskError{err}
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func create() (*File, error) {
	f, err := os.CreateTemp("", "cozeq-upload-*")
	if err != nil {
		return nil, &DiskError{err}
	}
	return &File{File: f, Fields: url.Values{}}, nil
}

func (f *File) Close() error { return errors.Join(f.File.Close(), os.Remove(f.File.Name())) }

func (f *File) read(content io.Reader, limit int64) error {
	disk := &disk{f: f.File}
	n, err := io.CopyBuffer(disk, io.LimitReader(content, limit+1), make([]byte, 64<<10))
	f.Bytes = n
	switch {
	case disk.err != nil:
		return &DiskError{disk.err}
	case err != nil:
		return err
	case n > limit:
		return &TooLargeError{What: "the file", Limit: limit}
	}
	return nil
}

// disk tells the errors of writing from those of reading.
type disk struct {
	f   *os.File
	err error
}

func (d *disk) Write(p []byte) (n int, err error) {
	n, d.err = d.f.Write(p)
	return n, d.err
}

// readForm reads a form. The order of its parts does not matter.
func (f *File) readForm(body io.Reader, boundary string, limit int64) error {
	if boundary == "" {
		return &MalformedError{What: "Content-Type: multipart/form-data without a boundary: let your HTTP client set it"}
	}
	connection := &connection{Reader: body}
	form, found := multipart.NewReader(connection, boundary), false
	for n := 0; ; n++ {
		part, err := form.NextPart()
		switch {
		case err == io.EOF && !found:
			return &MalformedError{What: "the form has no part named file with the file"}
		case err == io.EOF:
			return nil
		case err != nil:
			return connection.explain(err)
		case n == maxParts:
			return &MalformedError{What: fmt.Sprintf("the form has more than %d parts", maxParts)}
		}
		name, isFile := part.FormName(), part.FileName() != "" || part.FormName() == "file"
		switch {
		case isFile && found:
			return &MalformedError{What: "the form has more than one file: send one at a time"}
		case isFile && name != "file":
			return &MalformedError{What: fmt.Sprintf("the form's file is in part %.100q: name it file", name)}
		case isFile:
			found = true
			f.Name = base(part.FileName())
			f.Type, _, _ = mime.ParseMediaType(part.Header.Get("Content-Type"))
			err = f.read(part, limit)
		case name != "":
			err = f.field(name, part)
		}
		if err != nil && !ours(err) {
			err = connection.explain(err)
		}
		if err != nil {
			return err
		}
	}
}

func ours(err error) bool {
	switch err.(type) {
	case *TooLargeError, *MalformedError, *DiskError:
		return true
	}
	return false
}

func (f *File) field(name string, part io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(part, maxField+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxField:
		return &TooLargeError{What: fmt.Sprintf("field %.100q", name), Limit: maxField}
	case len(f.Fields) == maxFields:
		return &MalformedError{What: fmt.Sprintf("the form has more than %d fields", maxFields)}
	}
	f.Fields.Add(name, string(text))
	return nil
}

// connection remembers how reading a body ended: package multipart does not tell a form that is wrong from a connection
// that is cut.
type connection struct {
	io.Reader
	err error // nil or io.EOF: nothing was wrong with it
}

func (c *connection) Read(p []byte) (n int, err error) {
	n, c.err = c.Reader.Read(p)
	return n, c.err
}

// explain makes a *MalformedError of an error that is the form's.
func (c *connection) explain(err error) error {
	if c.err != nil && c.err != io.EOF {
		return c.err
	}
	return &MalformedError{What: "the form is damaged or cut short: " + err.Error()}
}

// base is a name without directories, of any system. What is no name is "".
func base(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == "/" {
		return ""
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return name
}
