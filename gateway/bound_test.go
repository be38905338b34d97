package gateway_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/redistest"
)

func pack(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is wrong with a request before any handler sees it is told in the shape of the API that was called.
func TestBounds(t *testing.T) {
	s := newSite(t, redistest.Embedded(t), gateway.Config{MaxBody: 4 << 10, MaxUpload: 64 << 10, KeysFile: keysFile(t, map[string]string{
		"shop": `, "bots": ["7461001"], "rate": "1/h"`,
	})}, cozetest.Config{})
	question := `{"question":"why?","model":"7461001","input":"why?"}`
	large, packed := `{"question":"`+strings.Repeat("x", 5000)+`"}`, pack(t, question)
	const gz = "Content-Encoding: gzip"
	upload, media := form(t, "user_data", strings.Repeat("x", 65<<10))
	bomb := pack(t, strings.Repeat(lineJSONL, 1000))
	for _, tt := range []struct {
		path, body string
		header     []string
		status     int
		code       string
	}{
		{"", large, nil, 413, "request_too_large"},
		{"", pack(t, large), []string{gz}, 413, "request_too_large"},
		{"", "no gzip", []string{gz}, 400, "invalid_body"},
		{"", packed[:len(packed)-3], []string{gz}, 400, "invalid_body"},
		{"", question, []string{"Content-Encoding: br"}, 415, "unsupported_media_type"},
		{"", strings.Repeat("[", 100), nil, 400, "invalid_body"},
		{"", question, []string{"Authorization: Bearer none"}, 401, "invalid_api_key"},
		{"", question, []string{"Authorization: x"}, 401, "invalid_api_key"},
		{"/nothing", question, nil, 404, "unknown_url"},
		{"files", upload, []string{media}, 413, "file_too_large"},
		{"files", bomb, []string{gz, "Content-Type: application/x-ndjson"}, 413, "file_too_large"},
		{"files", bomb[:len(bomb)-3], []string{gz, "Content-Type: application/x-ndjson"}, 413, "file_too_large"},
		{"files", packed[:len(packed)-3], []string{gz, "Content-Type: application/x-ndjson"}, 400, "invalid_body"},
	} {
		native, openAI := "/api/v1/tasks"+tt.path, "/v1/responses"+tt.path
		if tt.path == "files" {
			native, openAI = "/api/v1/batches", "/v1/files"
		}
		header := append([]string{bearer("shop")}, tt.header...)
		a := s.call("POST", native, tt.body, header...)
		if a.status != tt.status || a.header.Get("Content-Type") != "application/problem+json" || a.decode(t)["status"] != float64(tt.status) || a.decode(t)["detail"] == "" {
			t.Errorf("%s %.30q %s: %d %s", native, tt.body, tt.header, a.status, a.body)
		}
		a = s.call("POST", openAI, tt.body, header...)
		var body struct {
			Error struct{ Message, Type, Code string }
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != tt.status || body.Error.Code != tt.code || body.Error.Type != "invalid_request_error" || body.Error.Message == "" {
			t.Errorf("%s %.30q %s: %d %s, want %d %s", openAI, tt.body, tt.header, a.status, a.body, tt.status, tt.code)
		}
	}
	// What a key may not, and what it has used up. Its SDK repeats what passes, and only that.
	for _, tt := range []struct {
		model  string
		status int
		retry  string
	}{{"7461002", 404, "false"}, {"7461001", 200, ""}, {"7461001", 429, "true"}} {
		a := s.call("POST", "/v1/responses", `{"model":"`+tt.model+`","input":"why?"}`, bearer("shop"))
		if a.status != tt.status || a.header.Get("X-Should-Retry") != tt.retry || (a.header.Get("Retry-After") != "") != (a.status == 429) {
			t.Errorf("%s: %d %v %s", tt.model, a.status, a.header, a.body)
		}
	}
	if a := s.call("GET", "/v1", "", bearer("shop")); a.status != 404 || !strings.Contains(a.body, `"unknown_url"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}
