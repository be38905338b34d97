package openaibatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/openaibatch"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const bot = "7461001"

// site is the API over a Redis, and a mock of Coze that a worker may ask.
type site struct {
	t     *testing.T
	redis redis.UniversalClient
	mock  *cozetest.Server
	url   string
}

// newSite serves the API. Requests with "Authorization: Bearer NAME" have a key of that name.
func newSite(t *testing.T, rdb redis.UniversalClient) *site {
	t.Helper()
	s := &site{t: t, redis: rdb, mock: cozetest.New(t)}
	s.url = s.serve(rdb)
	return s
}

// handler is a process of its own, on this client of Redis.
func (s *site) handler(rdb redis.UniversalClient) (h *openaibatch.Handler, stop func()) {
	store := results.NewStore(rdb)
	client := tasks.NewClient(store)
	return openaibatch.New(openaibatch.Config{
		Decoder:  openai.Decoder{Models: openai.Models{Aliases: map[string]string{"support": bot}}},
		Tasks:    client,
		Submit:   submit.New(submit.Config{Tasks: client, Limits: apikey.NewLimits(store)}),
		MaxFiles: 5_000_000,
		Log:      slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	}), func() { store.Close() }
}

func (s *site) serve(rdb redis.UniversalClient) string {
	h, stop := s.handler(rdb)
	mux := http.NewServeMux()
	h.Register(mux)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && name != "none" {
			key := &apikey.Key{Name: name}
			if name == "narrow" {
				key.Bots = []string{"1"}
			}
			r = r.WithContext(apikey.NewContext(r.Context(), key))
		}
		mux.ServeHTTP(w, r)
	}))
	s.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		stop()
	})
	return server.URL
}

type object map[string]any

// send sends a request, as the key of that name, and wants this status.
func (s *site) send(key, method, path, contentType string, body io.Reader, want int, change ...func(*http.Request)) string {
	s.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = s.url + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for _, c := range change {
		c(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != want {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, res.StatusCode, want, text)
	}
	return string(text)
}

func (s *site) get(key, path string, want int) object {
	s.t.Helper()
	return s.parse(s.send(key, http.MethodGet, path, "", nil, want))
}

func (s *site) post(key, path, body string, want int, change ...func(*http.Request)) object {
	s.t.Helper()
	return s.parse(s.send(key, http.MethodPost, path, "application/json", strings.NewReader(body), want, change...))
}

func (s *site) parse(text string) (o object) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		s.t.Fatalf("%v in %s", err, text)
	}
	return o
}

func (o object) text(name string) string {
	text, _ := o[name].(string)
	return text
}

// problem is the message of an error.
func (o object) problem() string {
	e, _ := o["error"].(map[string]any)
	return object(e).text("message")
}

func (s *site) upload(key, lines string, want int) object {
	s.t.Helper()
	return s.uploadTo(s.url, key, "in.jsonl", lines, "batch", want)
}

func (s *site) uploadTo(url, key, name, content, purpose string, want int) object {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, _ := form.CreateFormFile("file", name)
	_, _ = io.WriteString(part, content)
	_ = form.WriteField("purpose", purpose) // behind the file
	_ = form.Close()
	return s.parse(s.send(key, http.MethodPost, url+"/v1/files", form.FormDataContentType(), &body, want))
}

func ask(id, question string) string {
	text, _ := json.Marshal(question)
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"model":"support","messages":[{"role":"user","content":%s}]}}`, id, text) + "\n"
}

func (s *site) make(key, lines string) object {
	s.t.Helper()
	return s.post(key, "/v1/batches", creation(s.upload(key, lines, 200).text("id")), 200)
}

func creation(file string) string {
	return fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, file)
}

// finish waits for the end of a batch.
func (s *site) finish(key, id string) (b object) {
	s.t.Helper()
	awaittest.Until(s.t, "batch "+id+" ends", func() bool {
		b = s.get(key, "/v1/batches/"+id, 200)
		return b["output_file_id"] != nil || b["error_file_id"] != nil
	})
	return b
}

func (s *site) lines(key, file string) (all []object) {
	s.t.Helper()
	for line := range strings.Lines(s.send(key, http.MethodGet, "/v1/files/"+file+"/content", "", nil, 200)) {
		all = append(all, s.parse(line))
	}
	return all
}
