package coze_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
)

// png is enough of one for Coze to know it.
const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

func uploadOf(name, content string) *coze.Upload {
	return &coze.Upload{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

func TestUploadFile(t *testing.T) {
	srv := cozetest.New(t)
	c := srv.Client()
	large := strings.Repeat("x", 20<<20) // more than any other body may have
	for name, content := range map[string]string{`猫 "1".PNG`: png, "notes.pdf": "%PDF-1.7", "film.mp4": large} {
		f, err := c.UploadFile(t.Context(), uploadOf(name, content))
		if err != nil || f.ID == "" || f.FileName != name || f.Bytes != int64(len(content)) || f.CreatedAt == 0 {
			t.Fatalf("%s: %+v, %v", name, f, err)
		}
		if again, err := c.RetrieveFile(t.Context(), f.ID); err != nil || *again != *f {
			t.Errorf("retrieved %+v, %v", again, err)
		}
	}
	if _, err := c.RetrieveFile(t.Context(), "12"); typed(t, err).Code != 4200 {
		t.Errorf("a file that there is not: %v", err)
	}
	if _, err := c.RetrieveFile(t.Context(), ""); typed(t, err).Class != coze.ClassInvalid {
		t.Errorf("no id: %v", err)
	}
}

// TestUploadChecked: what Coze would not take is refused without a call.
func TestUploadChecked(t *testing.T) {
	srv := cozetest.New(t)
	tooLarge := uploadOf("film.mp4", png)
	tooLarge.Size = coze.MaxFile + 1
	for _, u := range []*coze.Upload{uploadOf("", png), uploadOf("notes.txt", "a"), uploadOf("png", png), uploadOf("a.png", ""), tooLarge} {
		if _, err := srv.Client().UploadFile(t.Context(), u); typed(t, err).Class != coze.ClassInvalid {
			t.Errorf("%q: %v", u.Name, err)
		}
	}
	if n := srv.Calls("/v1/files/upload"); n != 0 {
		t.Errorf("%d calls", n)
	}
	_, err := srv.Client().UploadFile(t.Context(), uploadOf("a.png", "no picture"))
	if e := typed(t, err); e.Code != 4304 || e.Class != coze.ClassPermanent || e.Hint() == "" {
		t.Errorf("a broken picture: %v", err)
	}
}

// TestUploadOfAnotherFile: the file on disk is gone, or not as long as it was.
func TestUploadOfAnotherFile(t *testing.T) {
	srv := cozetest.New(t)
	short := uploadOf("a.png", png)
	short.Size++
	gone := uploadOf("a.png", png)
	gone.Open = func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }
	for want, u := range map[error]*coze.Upload{io.ErrUnexpectedEOF: short, fs.ErrNotExist: gone} {
		_, err := srv.Client().UploadFile(t.Context(), u)
		if e := typed(t, err); e.Class != coze.ClassInvalid || !errors.Is(err, want) {
			t.Errorf("got %+v, %v, want %v", e, err, want)
		}
	}
	longer := uploadOf("a.png", png+"more")
	longer.Size = int64(len(png))
	if f, err := srv.Client().UploadFile(t.Context(), longer); err != nil || f.Bytes != int64(len(png)) {
		t.Errorf("a file that grows: %+v, %v", f, err)
	}
}

// TestUploadWithAnotherToken: the content is sent from its start again.
func TestUploadWithAnotherToken(t *testing.T) {
	var bodies []string
	server := &guarded{good: "new", refuse: reply(401, js, refusal(700012006)), accept: func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			t.Errorf("%d bytes of %d, %v", len(body), r.ContentLength, err)
		}
		bodies = append(bodies, string(body))
		return reply(200, js, `{"code":0,"data":{"id":"1","bytes":8}}`)(r)
	}}
	c := &coze.Client{Auth: &rotating{token: "old", next: []string{"new"}}, HTTP: &http.Client{Transport: server}}
	f, err := c.UploadFile(t.Context(), uploadOf("a.pdf", "%PDF-1.7"))
	if err != nil || f.ID != "1" || server.refused != 1 || len(bodies) != 1 || !strings.Contains(bodies[0], "%PDF-1.7") {
		t.Errorf("%+v, %v after %d refusals: %q", f, err, server.refused, bodies)
	}
}

// TestUploadTime: an upload may take as long as it moves.
func TestUploadTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, cozetest.WithRules(
			cozetest.Rule{On: "upload", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Stall}}))
		c := srv.Client()
		c.Idle = 10 * time.Second
		_, err := c.UploadFile(t.Context(), uploadOf("a.png", png))
		if e := typed(t, err); e.Class != coze.ClassTransient || !errors.Is(err, coze.ErrNoReply) {
			t.Errorf("no reply: %v", err)
		}
		slow := uploadOf("a.png", png)
		slow.Open = func() (io.ReadCloser, error) { return &slowly{strings.NewReader(png)}, nil }
		begin := time.Now()
		if f, err := c.UploadFile(t.Context(), slow); err != nil || time.Since(begin) < 2*c.Idle {
			t.Errorf("%+v, %v after %v", f, err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := c.UploadFile(ctx, slow); typed(t, err).Class != coze.ClassTimeout {
			t.Errorf("a context that ends: %v", err)
		}
	})
}

// slowly gives a byte in two seconds.
type slowly struct{ io.Reader }

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(2 * time.Second)
	return s.Reader.Read(p[:1])
}

func (s *slowly) Close() error { return nil }

func TestFileForms(t *testing.T) {
	for body, want := range map[string]coze.File{
		`{"id":7361,"bytes":"152236","file_name":"a.pdf","created_at":1715847583}`: {ID: "7361", Bytes: 152236, FileName: "a.pdf", CreatedAt: 1715847583},
		`{"id":"7361","bytes":null,"url":""}`:                                      {ID: "7361"},
	} {
		var f coze.File
		if err := f.UnmarshalJSON([]byte(body)); err != nil || f != want {
			t.Errorf("%s: %+v, %v", body, f, err)
		}
	}
	if err := new(coze.File).UnmarshalJSON([]byte(`[]`)); err == nil {
		t.Error("an array is no file")
	}
}

func TestFileType(t *testing.T) {
	for name, want := range map[string]string{"a.PNG": "image", "a.b.pdf": "file", "a.mp3": "audio", "a.mp4": "file", "a.txt": "", "png": "", "": ""} {
		if got, ok := coze.FileType(name); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
}
