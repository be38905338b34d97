package gateway_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/redistest"
)

type event struct{ id, name, data string }

// watch reads a task's events to the end, or n of them.
func (s *site) watch(id, after string, n int) (status int, events []event) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+"/api/v1/tasks/"+id+"/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var e event
	for lines := bufio.NewScanner(response.Body); len(events) < n && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data += value
		case "":
			if e.name != "" {
				events = append(events, e)
			}
			e = event{}
		}
	}
	return response.StatusCode, events
}

// A watcher that is cut at any event comes back and gets what it has not had.
func TestEventsResume(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newSite(t, rdb, gateway.Config{}, cozetest.Config{DeltaPace: 60_000_000})
		id := s.call("POST", "/api/v1/tasks", `{"question":"why?","stream":true}`).decode(t)["id"].(string)
		_, all := s.watch(id, "", 1000)
		var whole []event
		for _, e := range all {
			if e.name != "status" {
				whole = append(whole, e)
			}
		}
		if len(whole) < 3 || whole[0].name != "delta" || whole[len(whole)-1].name != "end" {
			t.Fatalf("%+v", all)
		}
		for i, e := range whole[:len(whole)-1] {
			status, rest := s.watch(id, e.id, 1000)
			if status != 200 || len(rest) != len(whole)-1-i || rest[0] != whole[i+1] {
				t.Errorf("after event %d: %d %+v", i, status, rest)
			}
		}
		if status, _ := s.watch(id, whole[len(whole)-1].id, 1000); status != http.StatusNoContent {
			t.Errorf("after the end: %d", status)
		}
		if status, _ := s.watch("none", "", 1); status != http.StatusNotFound {
			t.Errorf("an unknown task: %d", status)
		}
		if status, _ := s.watch(id, "x", 1); status != http.StatusBadRequest {
			t.Errorf("a malformed id: %d", status)
		}
	})
}
