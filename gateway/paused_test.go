package gateway_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/tasks"
)

// The native API is the queue: it takes questions while nothing is asked, and says so.
func TestTakenWhilePaused(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		s.call("POST", "/api/v1/tasks", `{"question":"first"}`, "Prefer: wait=60")
		if _, err := (asynqx.QueuePauses{Redis: s.redis}).OperatorPause(t.Context(), tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		s.serve(gateway.Config{}) // it has not looked yet
		for path, body := range map[string]string{"/api/v1/tasks": `{"question":"why?"}`, "/api/v1/batches?name=q.csv": questionsCSV} {
			a := s.call("POST", path, body, "Content-Type: "+map[bool]string{true: "application/json", false: "text/csv"}[body[0] == '{'])
			var taken struct{ Paused struct{ Reason string } }
			if err := json.Unmarshal([]byte(a.body), &taken); err != nil || a.status != 202 || taken.Paused.Reason != "queue default is paused by an operator" {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		// A batch waits for a worker as well. Its queue may be new.
		a := s.call("POST", "/api/v1/batches?name=q.csv&queue=unserved", "question\nother\n", "Content-Type: text/csv")
		if a.status != 202 || !strings.Contains(a.body, `"reason":"no worker serves queue \"unserved\" now"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// The record in the answer is the one that is kept.
func TestSubmittedRecord(t *testing.T) {
	each(t, gateway.Config{KeysFile: keysFile(t, map[string]string{"shop": ""})}, func(t *testing.T, s *site) {
		if _, err := (asynqx.QueuePauses{Redis: s.redis}).OperatorPause(t.Context(), tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{
			`{"question":"a"}`, `{"id":"b","question":"b","user_id":"u","custom_id":"c"}`, `{"question":"d","delay":"1h"}`,
			`{"question":"e","conversation_key":"k"}`, `{"question":"f","conversation_key":"k"}`, `{"question":"g","conversation_id":"7"}`,
		} {
			posted := s.call("POST", "/api/v1/tasks", body, bearer("shop")).decode(t)
			delete(posted, "paused")
			if kept := s.call("GET", "/api/v1/tasks/"+posted["id"].(string), "", bearer("shop")).decode(t); !reflect.DeepEqual(posted, kept) {
				t.Errorf("%s\nposted %v\nkept   %v", body, posted, kept)
			}
		}
	})
}
