package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/redistest"
)

// A browser sends a form of any page's to this machine without asking. It must not cost anything.
func TestOtherOrigins(t *testing.T) {
	s := newSite(t, redistest.Embedded(t), gateway.Config{Origins: []string{"https://shop.example"}, Local: true}, cozetest.Config{})
	const question = `{"question":"a","delay":"1h"}`
	for _, tt := range []struct {
		method, path, body, header string
		status                     int
	}{
		{"POST", "/api/v1/tasks", question, "X: y", 202},
		{"POST", "/api/v1/tasks", question, "Origin: https://shop.example", 202},
		{"POST", "/api/v1/tasks", question, "Sec-Fetch-Site: same-origin", 202},
		{"POST", "/api/v1/tasks", question, "Origin: https://evil.example", 403},
		{"POST", "/api/v1/tasks", question, "Origin: null", 403},
		{"POST", "/api/v1/tasks", question, "Sec-Fetch-Site: cross-site", 403},
		{"POST", "/api/v1/queues/low/pause", "", "Origin: https://evil.example", 403},
		{"POST", "/v1/chat/completions", `{"model":"7461001","messages":[]}`, "Origin: https://evil.example", 403},
		{"GET", "/api/v1/queues", "", "Origin: https://evil.example", 200}, // the page does not get to see it
	} {
		a := s.call(tt.method, tt.path, tt.body, tt.header)
		if a.status != tt.status {
			t.Errorf("%s %s with %s: %d %s, want %d", tt.method, tt.path, tt.header, a.status, a.body, tt.status)
		}
		if strings.HasPrefix(tt.path, "/v1/") && !strings.HasPrefix(a.body, `{"error":{"code":"forbidden_origin",`) {
			t.Errorf("%s: %s", tt.path, a.body)
		}
		if allowed := a.header.Get("Access-Control-Allow-Origin"); allowed != "" && allowed != "https://shop.example" {
			t.Errorf("%s may read %s", allowed, tt.path)
		}
	}
	for host, want := range map[string]int{"evil.example": 403, "localhost:1": 200, "[::1]:1": 200, "10.0.0.1": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1/queues", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("host %s: %d, want %d", host, response.StatusCode, want)
		}
	}
	if _, err := gateway.New(gateway.Config{Tasks: s.tasks, Origins: []string{"shop.example"}}); err == nil || !strings.Contains(err.Error(), "https://example.com") {
		t.Errorf("an origin without a scheme: %v", err)
	}
}
