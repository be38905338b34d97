package coze

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"time"
)

// attach makes an upload a request's body: a form of one part named file. Its length is known beforehand, as some gateways
// refuse chunked bodies. alive is called for each piece that is sent.
func (u *Upload) attach(req *http.Request, alive func()) (err error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if _, err := w.CreateFormFile("file", u.Name); err != nil {
		return err
	}
	n := form.Len()
	if err := w.Close(); err != nil {
		return err
	}
	head, tail := form.Bytes()[:n], form.Bytes()[n:]
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.ContentLength = int64(form.Len()) + u.Size
	req.GetBody = func() (io.ReadCloser, error) {
		file, err := u.Open()
		if err != nil {
			return nil, &contentError{err}
		}
		content := &exactly{file, u.Size}
		return &formBody{io.MultiReader(bytes.NewReader(head), content, bytes.NewReader(tail)), file, alive}, nil
	}
	req.Body, err = req.GetBody()
	return err
}

type formBody struct {
	io.Reader
	io.Closer
	alive func()
}

func (b *formBody) Read(p []byte) (int, error) {
	b.alive()
	return b.Reader.Read(p)
}

// exactly reads left bytes, no more and no less: the request's length is announced.
type exactly struct {
	io.Reader
	left int64
}

func (r *exactly) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.Reader.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case r.left == 0, err == nil:
		return n, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, &contentError{err}
}

// contentError is about the content of an upload, not about Coze or the way there.
type contentError struct{ error }

func (e *contentError) Unwrap() error { return e.error }

// withIdle returns a context that ends with ErrIdle once alive was not called for d.
func withIdle(ctx context.Context, d time.Duration) (idle context.Context, alive, cancel func()) {
	idle, end := context.WithCancelCause(ctx)
	timer := time.AfterFunc(d, func() { end(ErrIdle) })
	return idle, func() { timer.Reset(d) }, func() { timer.Stop(); end(nil) }
}
