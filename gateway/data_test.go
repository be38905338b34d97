package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestForm: a question brings its files along in a form.
func TestForm(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		var uploader attachment.Uploader
		s := newSite(t, rdb, gateway.Config{Upload: func(ctx context.Context, _, name string, content []byte) (string, error) {
			return uploader.UploadContent(ctx, name, content)
		}}, cozetest.Config{})
		uploader.Coze, uploader.Redis = s.mock.Client(), rdb
		part := func(name, file, content string) string {
			if file != "" {
				file = `; filename="` + file + `"`
			}
			return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"" + file + "\r\n\r\n" + content + "\r\n"
		}
		task, gif := part("task", "", `{"id":"q1","question":"what?"}`), "GIF89a"+strings.Repeat("{[", 100)
		for _, tt := range []struct {
			parts  string
			status int
			want   string
		}{
			{task + part("file", "a.pdf", "%PDF-1.7") + part("image", "cat.gif", gif), 200, `I have seen a.pdf and cat.gif.`},
			{part("image", "cat.gif", gif) + task, 409, "q1"},
			{task + part("file", "a.pdf", "%PDF-1.7") + part("image", "cat.gif", gif), 200, `I have seen a.pdf and cat.gif.`},
			{part("task", "", `{"question":"alone"}`), 200, `alone`},
			{part("file", "a.pdf", "%PDF-1.7"), 422, "no part task"},
			{task + part("image", "a.pdf", "%PDF-1.7"), 422, `\"a.pdf\" is no image: send it as file`},
			{task + part("file", "a.txt", "x"), 422, "Coze takes no files of this type"},
			{task + part("notes", "a.pdf", "x"), 422, `part \"notes\"`},
			{task + part("image", "bad.png", "no picture"), 422, "4304"},
			{part("task", "", `{"additional_messages":[{"role":"user","content":"x"}]}`) + part("file", "a.pdf", "%PDF-1.7"), 422, "files go with question"},
			{part("task", "", `{"question":1}`), 422, "task.question"},
		} {
			a := s.call("POST", "/api/v1/tasks", tt.parts+"--b--\r\n", "Content-Type: multipart/form-data; boundary=b", "Prefer: wait=60")
			if a.status != tt.status || !strings.Contains(a.body, tt.want) {
				t.Errorf("%s: %d %s, want %d with %s", tt.parts, a.status, a.body, tt.status, tt.want)
			}
		}
		if n := s.mock.Calls("/v1/files/upload"); n != 3 { // each content once, and the one that is refused
			t.Errorf("%d uploads, want 3", n)
		}
		s.serve(gateway.Config{})
		if a := s.call("POST", "/api/v1/tasks", task+part("image", "cat.gif", gif)+"--b--\r\n", "Content-Type: multipart/form-data; boundary=b"); a.status != 422 || !strings.Contains(a.body, "cannot upload") {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// TestContentAsData: data of OpenAI's clients is uploaded, each content once, and goes with the question.
func TestContentAsData(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		var uploader attachment.Uploader
		s := newSite(t, rdb, gateway.Config{Upload: func(ctx context.Context, credential, name string, content []byte) (string, error) {
			if credential != "" {
				return "", &attachment.FileError{Path: name, Err: errors.New("no such credential")}
			}
			return uploader.UploadContent(ctx, name, content)
		}}, cozetest.Config{})
		uploader.Coze, uploader.Redis = s.mock.Client(), rdb
		chat := func(parts string) answer {
			return s.call("POST", "/v1/chat/completions", `{"model":"7461001","messages":[{"role":"user","content":[{"type":"text","text":"what?"},`+parts+`]}]}`)
		}
		const gif, pdf = "R0lGODlhIGluIGEgdGVzdA==", "JVBERi0xLjc="
		for parts, want := range map[string]string{
			`{"type":"image_url","image_url":{"url":"data:image/gif;base64,` + gif + `"}}`:                                                                                                          `I have seen file.gif.`,
			`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,` + pdf + `"}},{"type":"image_url","image_url":{"url":"data:image/gif;name=x;base64,` + gif + `"}}`: `I have seen a.pdf and file.gif.`,
			`{"type":"input_audio","input_audio":{"format":"mp3","data":"` + gif + `"}}`:                                                                                                            `I have seen audio.mp3.`,
		} {
			if a := chat(parts); a.status != 200 || !strings.Contains(a.body, want) {
				t.Errorf("%s: %d %s, want %s", parts, a.status, a.body, want)
			}
		}
		if n := s.mock.Calls("/v1/files/upload"); n != 3 {
			t.Errorf("%d uploads, want 3", n)
		}
		for parts, want := range map[string]string{
			`{"type":"image_url","image_url":{"url":"data:image/gif,` + gif + `"}}`:                        "not data:TYPE;base64",
			`{"type":"image_url","image_url":{"url":"data:image/gif;base64,!"}}`:                           "not base64",
			`{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,` + pdf + `"}}`: "Coze takes no files of this type",
			`{"type":"image_url","image_url":{"url":"data:image/png;base64,bm8gcGljdHVyZQ=="}}`:            "4304",
		} {
			a := chat(parts)
			if a.status != 400 || !strings.Contains(a.body, want) || !strings.Contains(a.body, `"param":"messages[0].content[1]"`) {
				t.Errorf("%s: %d %s, want %s", parts, a.status, a.body, want)
			}
		}
		if err := s.mock.SetRules(cozetest.Rule{On: "upload", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4028}}); err != nil {
			t.Fatal(err)
		}
		a := chat(`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + gif + `"}}`)
		if a.status != 429 || a.header.Get("x-should-retry") != "false" {
			t.Errorf("without a quota: %d %s", a.status, a.body)
		}
		if n := len(s.mock.Requests()); n == 0 || s.mock.Accepted() != 3 {
			t.Errorf("asked %d times, want 3", s.mock.Accepted())
		}
	})
}
