package gateway_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/gateway"
)

// keysFile makes a file of keys; the key of a name is "key-NAME".
func keysFile(t *testing.T, entries map[string]string) string {
	t.Helper()
	var all []string
	for name, rest := range entries {
		all = append(all, fmt.Sprintf(`%q: {"sha256": "%x"%s}`, name, sha256.Sum256([]byte("key-"+name)), rest))
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte("{"+strings.Join(all, ",")+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func bearer(name string) string { return "Authorization: Bearer key-" + name }

func TestKeys(t *testing.T) {
	file := keysFile(t, map[string]string{
		"shop": `, "bots": ["7461001"]`, "desk": "", "old": `, "expires": "2020-01-01"`, "ops": `, "operator": true`, "busy": `, "in_flight": 1`,
	})
	each(t, gateway.Config{KeysFile: file}, func(t *testing.T, s *site) {
		for _, tt := range []struct {
			method, path, body, header string
			status                     int
			want                       string
		}{
			{"GET", "/healthz", "", "X: y", 200, "ok"},
			{"GET", "/docs", "", "X: y", 200, "cozeq"},
			{"GET", "/", "", "X: y", 200, "cozeq"},
			{"POST", "/api/v1/tasks", `{"question":"a"}`, "X: y", 401, "Authorization: Bearer KEY"},
			{"POST", "/api/v1/tasks", `{"question":"a"}`, "Authorization: Basic key-shop", 401, "Bearer KEY"},
			{"POST", "/api/v1/tasks", `{"question":"a"}`, bearer("none"), 401, "no such API key"},
			{"POST", "/api/v1/tasks", `{"question":"a"}`, bearer("old"), 401, "expired"},
			{"POST", "/api/v1/tasks", `{"id":"mine","question":"a","delay":"1h"}`, bearer("shop"), 202, `"tenant":"shop"`},
			{"POST", "/api/v1/tasks", `{"question":"a","bot_id":"7461002"}`, bearer("shop"), 403, "7461002"},
			{"GET", "/api/v1/tasks/mine", "", bearer("shop"), 200, "mine"},
			{"GET", "/api/v1/tasks/mine", "", bearer("desk"), 404, "no such task"},
			{"GET", "/api/v1/tasks/mine/events", "", bearer("desk"), 404, "no such task"},
			{"POST", "/api/v1/tasks/mine/cancel", "", bearer("desk"), 404, "no such task"},
			{"POST", "/api/v1/tasks", `{"id":"mine","question":"a","delay":"1h"}`, bearer("desk"), 409, "another request"},
			{"GET", "/api/v1/queues", "", bearer("shop"), 403, "all tenants"},
			{"POST", "/api/v1/queues/low/pause", "", bearer("shop"), 403, "all tenants"},
			{"POST", "/api/v1/queues/low/pause", "", bearer("ops"), 200, "paused"},
			{"GET", "/api/v1/queues", "", bearer("ops"), 200, `"by":"operator"`},
			{"POST", "/api/v1/queues/low/resume", "", bearer("ops"), 200, "resumed"},
			{"POST", "/api/v1/tasks", `{"question":"a","delay":"1h"}`, bearer("busy"), 202, ""},
			{"POST", "/api/v1/tasks", `{"question":"b","delay":"1h"}`, bearer("busy"), 429, "in flight"},
		} {
			a := s.call(tt.method, tt.path, tt.body, tt.header)
			if a.status != tt.status || !strings.Contains(a.body, tt.want) {
				t.Errorf("%s %s %s with %s: %d %s, want %d with %q", tt.method, tt.path, tt.body, tt.header, a.status, a.body, tt.status, tt.want)
			}
			if tt.status == 429 && a.header.Get("Retry-After") == "" || tt.status == 401 && a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s: headers %v", tt.method, tt.path, a.header)
			}
			if strings.Contains(a.body, "key-") {
				t.Errorf("%s shows a key", a.body)
			}
		}
	})
}
