package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/gateway"
)

func TestSubmit(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		a := s.call("POST", "/api/v1/tasks", `{"question":"why?"}`)
		id, _ := a.decode(t)["id"].(string)
		if a.status != 202 || id == "" || a.header.Get("Location") != "/api/v1/tasks/"+id {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
		a = s.call("GET", "/api/v1/tasks/"+id+"?wait=60s", "")
		if a.status != 200 || a.decode(t)["status"] != "completed" || a.decode(t)["answer"] == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := s.call("POST", "/api/v1/tasks", `{"question":"why?"}`, "Prefer: respond-async, wait=60"); a.status != 200 || a.decode(t)["status"] != "completed" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// The same request finds its task, another one is refused, by id and by idempotency key.
func TestSubmitAgain(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		for _, tt := range []struct {
			name, body, other string
			header            []string
		}{
			{"id", `{"id":"q1","question":"why?"}`, `{"id":"q1","question":"how?"}`, nil},
			{"key", `{"question":"why?"}`, `{"question":"why?","queue":"low"}`, []string{"Idempotency-Key: k 1"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				first := s.call("POST", "/api/v1/tasks", tt.body, tt.header...)
				again := s.call("POST", "/api/v1/tasks", tt.body, append(tt.header, "Prefer: wait=60")...)
				if first.status != 202 || again.status != 200 || first.decode(t)["id"] != again.decode(t)["id"] {
					t.Errorf("%d %s, again %d %s", first.status, first.body, again.status, again.body)
				}
				if a := s.call("POST", "/api/v1/tasks", tt.other, tt.header...); a.status != 409 || a.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("another request: %d %s", a.status, a.body)
				}
			})
		}
		if n := s.mock.Accepted(); n != 2 {
			t.Errorf("%d chats, want 2", n)
		}
	})
}

func TestSubmitMany(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		s.call("POST", "/api/v1/tasks", `{"id":"a","question":"1"}`)
		a := s.call("POST", "/api/v1/tasks", `[{"id":"a","question":"1"},{"id":"b","question":"2"},{"question":""},{"id":"a","question":"3"},{"id":"c","qestion":"4"}]`)
		var verdicts []struct {
			Status  int
			ID      string
			Problem *struct {
				Detail string
				Errors []struct{ Location, Message string }
			}
		}
		if err := json.Unmarshal([]byte(a.body), &verdicts); err != nil || a.status != 207 || len(verdicts) != 5 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		for i, want := range []int{200, 202, 422, 409, 422} {
			if verdicts[i].Status != want {
				t.Errorf("question %d: %+v, want %d", i, verdicts[i], want)
			}
		}
		if p := verdicts[4].Problem; p == nil || len(p.Errors) == 0 || p.Errors[0].Location != "body[4].qestion" {
			t.Errorf("%+v", p)
		}
	})
}

// Nothing of a bad request is enqueued, and the answer says what is wrong.
func TestBadRequests(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		for _, tt := range []struct {
			body   string
			status int
			want   string
		}{
			{``, 400, "required"},
			{`{`, 400, "not JSON"},
			{strings.Repeat("[", 100), 400, "nested deeper"},
			{`{}`, 422, "question"},
			{`{"question":"a","additional_messages":[{"role":"user","content":"b"}]}`, 422, "either question or"},
			{`{"question":"a","bot_id":7}`, 422, `"location":"body.bot_id"`},
			{`{"question":"a","delay":"soon"}`, 422, "like 90s"},
			{`{"question":"a","delay":"-5s"}`, 422, "delay"},
			{`{"question":"a","delay":"5s","conversation_key":"k"}`, 422, "delay"},
			{`{"question":"a","id":"a b"}`, 422, "body.id"},
			{`{"question":"a","queue":"Q!"}`, 422, "queue"},
			{`{"question":"a","queue":"webhooks"}`, 422, "deliveries"},
			{`{"question":"a","expires_at":"2020-01-01T00:00:00Z"}`, 422, "past"},
			{`{"question":"a","queue":"unserved"}`, 503, `no worker serves queue \"unserved\"`},
			{`[]`, 422, "1 to 1000"},
		} {
			a := s.call("POST", "/api/v1/tasks", tt.body)
			if a.status != tt.status || !strings.Contains(a.body, tt.want) {
				t.Errorf("%s: %d %s, want %d with %s", tt.body, a.status, a.body, tt.status, tt.want)
			}
			if tt.status == 503 && a.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		}
		keys, err := s.redis.Keys(t.Context(), "cozeq:result:*").Result()
		if err != nil || len(keys) > 0 {
			t.Errorf("records %q, %v", keys, err)
		}
		for path, want := range map[string]int{
			"/api/v1/tasks/none": 404, "/api/v1/tasks/a%20b": 404, "/api/v1/tasks/none?wait=soon": 422, "/api/v1/tasks/none?wiat=5s": 422, "/nothing": 404,
		} {
			if a := s.call("GET", path, ""); a.status != want || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	})
}

func TestCancel(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		s.call("POST", "/api/v1/tasks", `{"id":"later","question":"why?","delay":"1h"}`)
		a := s.call("POST", "/api/v1/tasks/later/cancel", "")
		if a.status != 200 || a.decode(t)["status"] != "canceled" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := s.call("POST", "/api/v1/tasks/none/cancel", ""); a.status != 404 {
			t.Errorf("%d %s", a.status, a.body)
		}
		if n := s.mock.Accepted(); n != 0 {
			t.Errorf("%d chats", n)
		}
	})
}
