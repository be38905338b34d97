package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// hooks receives webhooks, and refuses each tenth once.
type hooks struct {
	server *httptest.Server

	mu       sync.Mutex
	bodies   map[string]string // by webhook-id
	expected map[string]bool
	tried    map[string]bool // by webhook-id
	refused  int
	repeated int
	wrong    []error
}

func newHooks(t *testing.T) *hooks {
	h := &hooks{bodies: map[string]string{}, expected: map[string]bool{}, tried: map[string]bool{}}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

// expect waits for the webhook of a task.
func (h *hooks) expect(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expected[id] = true
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("webhook-id")
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender was killed
	}
	var event struct {
		Data record
	}
	err = json.Unmarshal(text, &event)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || event.Data.ID != id || event.Data.Status != "completed" {
		h.wrong = append(h.wrong, fmt.Errorf("webhook %s: %s", id, text))
	}
	if before, there := h.bodies[id]; there {
		h.repeated++
		if before != string(text) {
			h.wrong = append(h.wrong, fmt.Errorf("webhook %s: %s, and then %s", id, before, text))
		}
	} else if !h.tried[id] {
		if h.tried[id] = true; len(h.tried)%10 == 0 {
			h.refused++
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	h.bodies[id] = string(text)
}

// await waits until every webhook has come.
func (h *hooks) await(ctx context.Context) error {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return h.missing()
		}
		if h.missing() == nil {
			return h.check()
		}
	}
}

func (h *hooks) missing() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.expected {
		if h.bodies[id] == "" {
			return fmt.Errorf("%d webhooks of %d have come, and none of %s", len(h.bodies), len(h.expected), id)
		}
	}
	return nil
}

func (h *hooks) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.bodies {
		if !h.expected[id] {
			h.wrong = append(h.wrong, fmt.Errorf("a webhook of %s, which nobody has asked for", id))
		}
	}
	return errors.Join(h.wrong...)
}

func (h *hooks) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("%d webhooks, %d of them refused once, %d deliveries more than needed", len(h.bodies), h.refused, h.repeated)
}
