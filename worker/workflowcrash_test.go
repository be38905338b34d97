package worker_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// envStands has a worker's process stand still at the step that a task names.
const envStands = "COZEQ_TEST_WORKER_STANDS"

// standBefore is the step before the asked note.
func standBefore(_ context.Context, at worker.Progress) error {
	if at.ID == "before" && !at.AskedAt.IsZero() {
		select {}
	}
	return nil
}

// stands is a transport that keeps the requests of the step "noted", and the replies of the step "taken".
type stands struct{ http.RoundTripper }

func (s stands) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.GetBody != nil {
		copied, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		body, _ = io.ReadAll(copied)
	}
	if strings.Contains(string(body), "step noted") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	response, err := s.RoundTripper.RoundTrip(r)
	if err == nil && strings.Contains(string(body), "step taken") {
		<-r.Context().Done()
		err = r.Context().Err()
		response.Body.Close()
		return nil, err
	}
	return response, err
}

// TestWorkflowKilled kills a worker, with kill -9, while its runs of workflows and its questions to chatflows stand at each step.
// Another one goes on: it runs again only what Coze has not named.
func TestWorkflowKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s: a lease must run out")
	}
	t.Parallel()
	server := redistest.Start(t)
	l := newLine(t, server.Client(), cozetest.With(cozetest.Config{}))
	field := func(id, name string) string { return l.rdb.HGet(t.Context(), results.Key(id), name).Val() }
	streamed := workflow("step streamed [[mock:stall answers=2 times=1]]")
	streamed.Stream = true
	steps := []struct {
		id    string
		chat  *tasks.Chat
		runs  int  // at Coze, in all
		twice bool // possible_duplicate
		there func(id, question string) bool
	}{
		{"before", workflow("step before"), 1, false, func(id, _ string) bool { return field(id, "status") == "running" }},
		{"noted", workflow("step noted"), 1, true, func(id, _ string) bool { return field(id, "asked_at") != "" }},
		{"taken", workflow("step taken"), 2, true, func(_, question string) bool { return l.fake.ByQuestion(question) == 1 }},
		{"named", workflow("step named [[mock:latency=5s]]"), 1, false, func(id, _ string) bool { return field(id, "execute_id") != "" }},
		{"streamed", streamed, 2, true, func(_, question string) bool { return l.fake.ByQuestion(question) == 1 }},
		{"chatflow-taken", chatflow("step taken"), 1, false, func(_, question string) bool { return l.fake.ByQuestion(question) == 1 }},
		{"chatflow-named", chatflow("step named [[mock:latency=5s]]"), 1, false, func(id, _ string) bool { return field(id, "chat_id") != "" }},
	}
	question := func(chat *tasks.Chat) string {
		if chat.IsChatflow() {
			return chat.AdditionalMessages[0].Content
		}
		all, _ := json.Marshal(chat.Parameters)
		return string(all)
	}
	killed := startWorker(t, server.URL(), l.fake.URL, envStands+"=1")
	for _, s := range steps {
		l.enqueue(s.chat, tasks.Options{ID: s.id})
	}
	for _, s := range steps {
		awaittest.Until(t, s.id, func() bool { return s.there(s.id, question(s.chat)) })
	}
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	l.work()
	for _, s := range steps {
		r := l.wait(s.id)
		if n := l.fake.ByQuestion(question(s.chat)); r.Status != results.Completed || n != s.runs || r.PossibleDuplicate != s.twice {
			t.Errorf("killed at %s: %d runs, %+v %+v", s.id, n, r, r.Error)
		}
	}
}
