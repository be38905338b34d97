package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/awaittest"
)

// Failed tasks are listed, asked again and deleted over HTTP, by the key whose they are.
func TestFailed(t *testing.T) {
	file := keysFile(t, map[string]string{"shop": `, "in_flight": 1`, "desk": ""})
	each(t, gateway.Config{KeysFile: file}, func(t *testing.T, s *site) {
		for _, id := range []string{"f1", "f2", "f3"} {
			body := fmt.Sprintf(`{"id":%q,"question":"Too long [[mock:fail=4010 times=1]] %[1]s"}`, id)
			if a := s.call("POST", "/api/v1/tasks", body, bearer("shop"), "Prefer: wait=60"); !strings.Contains(a.body, `"failed"`) {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		const path = "/api/v1/failed"
		awaittest.Until(t, "asynq knows it too", func() bool {
			return strings.Count(s.call("GET", path, "", bearer("shop")).body, `"queue"`) == 3
		})
		var page struct {
			Failed  []struct{ ID, Tenant string }
			HasMore bool `json:"has_more"`
		}
		a := s.call("GET", path+"?limit=2&code=4010&class=permanent&since=1h&queue=default", "", bearer("shop"))
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || len(page.Failed) != 2 || !page.HasMore || page.Failed[0].ID != "f3" || page.Failed[0].Tenant != "shop" {
			t.Errorf("%d %s", a.status, a.body)
		}
		for _, tt := range []struct {
			method, path, key string
			status            int
			want              string
		}{
			{"GET", "?after=f2", "shop", 200, `"id":"f1"`},
			{"GET", "?after=nobody", "shop", 404, "query.after"},
			{"GET", "?older_than=1h", "shop", 200, `"failed":[]`},
			{"GET", "", "desk", 200, `"failed":[]`},
			{"GET", "?class=none", "shop", 422, `query.class: \"none\", want one of permanent`},
			{"GET", "?since=soon", "shop", 422, `query.since`},
			{"GET", "?limit=0", "shop", 422, "limit"},
			{"GET", "?colour=red", "shop", 422, "colour"},
			{"POST", "/run", "shop", 422, "which?"},
			{"POST", "/run?id=f1&all=true", "shop", 422, "one of the two"},
			{"POST", "/run?id=f1", "desk", 404, "no failed task: f1"},
			{"DELETE", "", "shop", 422, "which?"},
			{"DELETE", "?id=f1", "desk", 404, "no failed task: f1"},
			{"DELETE", "?since=7d", "shop", 422, "query.since: it would delete the latest failures and keep the old ones: older_than=7d deletes"},
			{"DELETE", "?older_than=1h", "shop", 200, `"ids":[]`},
			{"DELETE", "?id=f2&id=nobody", "shop", 200, `"ids":["f2"],"missing":["nobody"]`},
			{"POST", "/run?all=true", "shop", 200, `"has_more":true`}, // one in flight is what the key may have
		} {
			if a := s.call(tt.method, path+tt.path, "", bearer(tt.key)); a.status != tt.status || !strings.Contains(a.body, tt.want) {
				t.Errorf("%s %s with %s: %d %s, want %d with %s", tt.method, tt.path, tt.key, a.status, a.body, tt.status, tt.want)
			}
		}
		if a := s.call("GET", "/api/v1/tasks/f3?wait=60s", "", bearer("shop")); !strings.Contains(a.body, `"completed"`) {
			t.Errorf("asked again: %s", a.body)
		}
		if a := s.call("POST", path+"/run?all=true", "", bearer("shop")); !strings.Contains(a.body, `"ids":["f1"]`) || strings.Contains(a.body, `"has_more":true`) {
			t.Errorf("the rest: %d %s", a.status, a.body)
		}
	})
}
