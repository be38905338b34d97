package upload_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/upload"
)

const limit = 1000

func request(contentType string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// form makes a form of parts: NAME=VALUE, or NAME@FILE=CONTENT.
func form(parts ...string) *http.Request {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		var to io.Writer
		if field, file, ok := strings.Cut(name, "@"); ok {
			to, _ = w.CreateFormFile(field, file)
		} else {
			to, _ = w.CreateFormField(name)
		}
		_, _ = io.WriteString(to, value)
	}
	_ = w.Close()
	return request(w.FormDataContentType(), &body)
}

// nothingLeft fails if a temporary file outlives the test.
func nothingLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left on the disk: %v, %v", left, err)
		}
	})
}

func TestReceive(t *testing.T) {
	nothingLeft(t)
	named := request("text/csv; charset=utf-8", strings.NewReader("a,b"))
	named.Header.Set("Content-Disposition", `attachment; filename="C:\data\q.csv"`)
	for _, c := range []struct {
		r       *http.Request
		name    string
		media   string
		content string
		fields  string
	}{
		{request("", strings.NewReader("x")), "", "", "x", "map[]"},
		{named, "q.csv", "text/csv", "a,b", "map[]"},
		{form("purpose=batch", "file@in.jsonl={}"), "in.jsonl", "application/octet-stream", "{}", "map[purpose:[batch]]"},
		{form("file@../../etc/in.jsonl={}", "purpose=batch", "expires_after[seconds]=3600"), "in.jsonl", "application/octet-stream", "{}", "map[expires_after[seconds]:[3600] purpose:[batch]]"},
		{form("file=plain"), "", "", "plain", "map[]"},
		{form("file@empty="), "empty", "application/octet-stream", "", "map[]"},
		{form("file@full=" + strings.Repeat("x", limit)), "full", "application/octet-stream", strings.Repeat("x", limit), "map[]"},
	} {
		f, err := upload.Receive(c.r, limit)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		content, err := io.ReadAll(f)
		if err != nil || string(content) != c.content || f.Bytes != int64(len(c.content)) {
			t.Errorf("%s: %q, %d bytes, %v", c.name, content, f.Bytes, err)
		}
		if f.Name != c.name || f.Type != c.media || fmt.Sprint(f.Fields) != c.fields {
			t.Errorf("got %q, %q, %v; want %q, %q, %s", f.Name, f.Type, f.Fields, c.name, c.media, c.fields)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// cut is a body whose connection ends.
type cut struct{ io.Reader }

var errCut = errors.New("connection reset")

func (c cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = errCut
	}
	return n, err
}

func TestRefused(t *testing.T) {
	nothingLeft(t)
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprintf("f%d=x", i))
	}
	whole := form("file@a=xxx")
	text, _ := io.ReadAll(whole.Body)
	half := func(wrap func(io.Reader) io.Reader) *http.Request {
		return request(whole.Header.Get("Content-Type"), wrap(bytes.NewReader(text[:len(text)-30])))
	}
	var large *upload.TooLargeError
	var malformed *upload.MalformedError
	for _, c := range []struct {
		what string
		r    *http.Request
		is   func(error) bool
		want string
	}{
		{"large body", request("", strings.NewReader(strings.Repeat("x", limit+1))), func(err error) bool { return errors.As(err, &large) }, "the file is larger than 1000 bytes"},
		{"large part", form("file@a=" + strings.Repeat("x", limit+1)), func(err error) bool { return errors.As(err, &large) }, "the file is larger than 1000 bytes"},
		{"large field", form("a=" + strings.Repeat("x", 64<<10+1)), func(err error) bool { return errors.As(err, &large) }, `field "a" is larger than 65536 bytes`},
		{"many fields", form(many...), func(err error) bool { return errors.As(err, &malformed) }, "more than 64 fields"},
		{"no file", form("a=b"), func(err error) bool { return errors.As(err, &malformed) }, "no part named file"},
		{"two files", form("file@a=x", "file@b=x"), func(err error) bool { return errors.As(err, &malformed) }, "more than one file"},
		{"misnamed file", form("data@a=x"), func(err error) bool { return errors.As(err, &malformed) }, `"data": name it file`},
		{"no boundary", request("multipart/form-data", strings.NewReader("x")), func(err error) bool { return errors.As(err, &malformed) }, "boundary"},
		{"bad type", request("text/;;", strings.NewReader("x")), func(err error) bool { return errors.As(err, &malformed) }, "Content-Type"},
		{"no form", request("multipart/form-data; boundary=x", strings.NewReader("hello")), func(err error) bool { return errors.As(err, &malformed) }, "damaged or cut short"},
		{"half a form", half(func(r io.Reader) io.Reader { return r }), func(err error) bool { return errors.As(err, &malformed) }, "damaged or cut short"},
		{"cut connection", half(func(r io.Reader) io.Reader { return cut{r} }), func(err error) bool { return errors.Is(err, errCut) }, "reset"},
		{"cut body", request("", cut{strings.NewReader("x")}), func(err error) bool { return errors.Is(err, errCut) }, "reset"},
	} {
		f, err := upload.Receive(c.r, limit)
		if err == nil {
			t.Errorf("%s: taken", c.what)
			_ = f.Close()
			continue
		}
		if !c.is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %T %v, want %q", c.what, err, err, c.want)
		}
	}
}

func FuzzReceive(f *testing.F) {
	for _, seed := range []*http.Request{form("purpose=batch", "file@in.jsonl={}"), form("file@a=x", "b=c"), form("a=b")} {
		text, _ := io.ReadAll(seed.Body)
		f.Add(seed.Header.Get("Content-Type"), text)
	}
	f.Add("text/csv", []byte("a,b\n"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		got, err := upload.Receive(request(contentType, bytes.NewReader(body)), limit)
		if err != nil {
			return
		}
		defer got.Close()
		if got.Bytes > limit || len(got.Fields) > 64 || strings.ContainsAny(got.Name, "/\\\x00\n") {
			t.Errorf("took %d bytes, %d fields, name %q", got.Bytes, len(got.Fields), got.Name)
		}
		if n, err := io.Copy(io.Discard, got); err != nil || n != got.Bytes {
			t.Errorf("%d of %d bytes: %v", n, got.Bytes, err)
		}
	})
}
