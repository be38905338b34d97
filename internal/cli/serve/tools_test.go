package serve

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A question, and a file of them, brings the tools of its bot along as URLs.
func TestToolsOfTasks(t *testing.T) {
	secrets := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(secrets, []byte("default whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"temperature":21,"signed":"`+r.Header.Get("webhook-signature")[:3]+`"}`)
	}))
	t.Cleanup(receiver.Close)
	base, _, _ := startWith(t, map[string]string{"COZEQ_WEBHOOK_SECRETS_FILE": secrets}, "--demo", "--webhook-allow", "127.0.0.0/8")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	call := func(method, path, kind, body string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", kind)
		request.Header.Set("Prefer", "wait=60")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	const gave = `get_weather gave {\"temperature\":21,\"signed\":\"v1,\"}.`
	status, text := call("POST", "/api/v1/tasks", "application/json",
		`{"question": "How warm? [[mock:action=get_weather]]", "tools": {"get_weather": {"url": "`+receiver.URL+`"}}}`)
	if status != 200 || !strings.Contains(text, gave) {
		t.Errorf("%d %s", status, text)
	}
	for tools, want := range map[string]string{
		`{"t": {"url": "https://10.0.0.1/"}}`:                       "tools.t.url",
		`{"t": {"url": "https://example.com/", "secret": "other"}}`: "tools.t.secret",
		`{"t": {"url": ""}}`:                                        "tools.t.url",
		`{"t": {}}`:                                                 "url",
	} {
		if status, text := call("POST", "/api/v1/tasks", "application/json", `{"question": "How warm?", "tools": `+tools+`}`); status != 422 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", tools, status, text)
		}
		if status, text := call("POST", "/api/v1/batches?tools="+url.QueryEscape(tools), "text/plain", "How warm?\n"); status != 422 && tools != `{"t": {}}` || !strings.Contains(text, want) {
			t.Errorf("batch, %s: %d %s", tools, status, text)
		}
	}
	if status, text := call("POST", "/api/v1/batches?id=b&tools="+url.QueryEscape(`{"get_weather": {"url": "`+receiver.URL+`"}}`), "text/plain", "How warm? [[mock:action=get_weather]]\n"); status != 202 {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := call("GET", "/api/v1/tasks/b-1?wait=60s", "", ""); status != 200 || !strings.Contains(text, gave) {
		t.Errorf("%d %s", status, text)
	}
}
