package gateway_test

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/redistest"
)

const lineJSONL = `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"7461001","messages":[{"role":"user","content":"why?"}]}}` + "\n"

// form is a form with a file for /v1/files, and its Content-Type.
func form(t *testing.T, purpose, content string) (body, header string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "in.jsonl")
	if err == nil {
		_, err = part.Write([]byte(content))
	}
	for _, err := range []error{err, w.WriteField("purpose", purpose), w.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

// A Redis that is away or full is said with 503 and Retry-After, whatever is called, and nothing is half submitted.
func TestRedisOutage(t *testing.T) {
	server := redistest.Start(t)
	s := newSite(t, server.Client(), gateway.Config{}, cozetest.Config{})
	s.call("POST", "/api/v1/tasks", `{"id":"there","question":"why?"}`, "Prefer: wait=60")
	s.call("POST", "/api/v1/tasks", `{"id":"open","question":"why?","delay":"1h"}`)
	response := s.call("POST", "/v1/responses", `{"model":"7461001","input":"why?"}`).decode(t)["id"].(string)
	upload, multipart := form(t, "batch", lineJSONL)
	file := s.call("POST", "/v1/files", upload, multipart).decode(t)["id"].(string)
	before := redistest.Keys(t, s.redis, "cozeq:result:*")

	const chat, background = `{"model":"7461001","messages":[{"role":"user","content":"new?"}]}`, `{"model":"7461001","input":"new?","background":true}`
	writes := [][4]string{
		{"POST", "/api/v1/tasks", `{"question":"new?"}`}, {"POST", "/api/v1/tasks", `{"question":"new?"}`, "Idempotency-Key: k"},
		{"POST", "/api/v1/batches", "question\nnew?\n", "Content-Type: text/csv"},
		{"POST", "/v1/chat/completions", chat}, {"POST", "/v1/chat/completions", strings.Replace(chat, "{", `{"stream":true,`, 1)},
		{"POST", "/v1/responses", background}, {"POST", "/v1/files", upload, multipart},
		{"POST", "/v1/batches", `{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h"}`},
	}
	reads := [][4]string{
		{"GET", "/readyz"}, {"GET", "/api/v1/tasks/there"}, {"GET", "/api/v1/tasks/there/events"}, {"POST", "/api/v1/tasks/open/cancel"},
		{"GET", "/api/v1/batches"}, {"GET", "/api/v1/batches/b-1"}, {"GET", "/api/v1/queues"}, {"POST", "/api/v1/queues/low/pause"},
		{"GET", "/v1/responses/" + response}, {"DELETE", "/v1/responses/" + response}, {"GET", "/v1/files"}, {"GET", "/v1/files/" + file},
		{"GET", "/v1/files/" + file + "/content"}, {"DELETE", "/v1/files/" + file}, {"GET", "/v1/batches"}, {"GET", "/v1/batches/batch_1"},
	}
	refused := func(what string, calls [][4]string) {
		t.Helper()
		for _, c := range calls {
			var headers []string
			if c[3] != "" {
				headers = []string{c[3]}
			}
			a := s.call(c[0], c[1], c[2], headers...)
			shape := `"detail"`
			if strings.HasPrefix(c[1], "/v1/") {
				shape = `{"error":{`
			}
			if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, shape) {
				t.Errorf("%s: %s %s %.40s: %d %v %s", what, c[0], c[1], c[2], a.status, a.header, a.body)
			}
		}
	}
	if err := s.redis.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	refused("full", writes)
	if after := redistest.Keys(t, s.redis, "cozeq:result:*"); len(after) != len(before) {
		t.Errorf("records %v, before %v", after, before)
	}
	server.Kill()
	refused("away", append(writes, reads...))
	server.Restart() // for the worker to end well
}
