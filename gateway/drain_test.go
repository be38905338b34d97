package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/redistest"
)

// A gateway that drains lets those go who only look on: they miss nothing elsewhere.
func TestDrain(t *testing.T) {
	s := newSite(t, redistest.Embedded(t), gateway.Config{}, cozetest.Config{})
	s.call("POST", "/api/v1/tasks", `{"id":"late","question":"why?","delay":"1h"}`)
	watched, err := http.Get(s.url + "/api/v1/tasks/late/events")
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Body.Close()
	events := bufio.NewReader(watched.Body)
	if _, err := events.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	waited := make(chan answer)
	go func() { waited <- s.call("GET", "/api/v1/tasks/late?wait=60s", "") }()
	s.gateway.Drain()
	if _, err := io.ReadAll(events); err != nil {
		t.Errorf("the stream was broken off: %v", err)
	}
	if a := <-waited; a.status != http.StatusOK || a.decode(t)["status"] != "queued" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.call("GET", "/readyz", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d %s", a.status, a.body)
	}
	if a := s.call("GET", "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("/healthz: %d", a.status)
	}
}
