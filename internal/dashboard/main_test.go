package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a Redis with the dashboard over it.
type room struct {
	t         testing.TB
	rdb       redis.UniversalClient
	results   *results.Store
	tasks     *tasks.Client
	inspector *asynq.Inspector
	http.Handler
}

func open(t testing.TB, rdb redis.UniversalClient, c dashboard.Config) *room {
	store := results.NewStore(rdb)
	t.Cleanup(func() { store.Close() })
	r := &room{t: t, rdb: rdb, results: store, tasks: tasks.NewClient(store), inspector: asynq.NewInspectorFromRedisClient(rdb)}
	c.Redis, c.Results, c.Tasks = rdb, store, r.tasks
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r.Handler = dashboard.New(c)
	return r
}

// at is the room for a part of its test.
func (r room) at(t testing.TB) *room {
	r.t = t
	return &r
}

// serve starts a worker on a fake of Coze that stops with the test.
func (r *room) serve(fake *cozetest.Server) {
	r.t.Helper()
	w, err := worker.New(worker.Config{
		Redis: r.rdb, Coze: fake.Client(), BotID: "7342866812345", Concurrency: 8, Drain: -1,
		Queues: map[string]int{"default": 1}, Logger: slog.New(slog.DiscardHandler), Keys: r.results.Keys,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("worker: %v", err)
		}
	})
}

func (r *room) enqueue(chat *tasks.Chat, o tasks.Options) string {
	r.t.Helper()
	id, err := r.tasks.Enqueue(r.t.Context(), chat, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *room) await(queue, id string, want asynq.TaskState) {
	r.t.Helper()
	awaittest.NoError(r.t, fmt.Sprintf("task %s is %v", id, want), func() error {
		info, err := r.inspector.GetTaskInfo(queue, id)
		if err == nil && info.State != want {
			err = fmt.Errorf("it is %v", info.State)
		}
		return err
	})
}

// awaitChat waits until the record names the task's chat.
func (r *room) awaitChat(id string) {
	r.t.Helper()
	r.awaitRecord(id, func(record *results.Result) bool { return record.ChatID != "" })
}

func (r *room) awaitStatus(id string, want results.Status) {
	r.t.Helper()
	r.awaitRecord(id, func(record *results.Result) bool { return record.Status == want })
}

func (r *room) awaitRecord(id string, good func(*results.Result) bool) {
	r.t.Helper()
	awaittest.NoError(r.t, "the record is as it should be", func() error {
		record, err := r.results.Get(r.t.Context(), id)
		if err == nil && !good(record) {
			err = fmt.Errorf("it is %+v", record)
		}
		return err
	})
}

func (r *room) status(id string) results.Status {
	r.t.Helper()
	record, err := r.results.Get(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return record.Status
}

// call makes a request as a browser on this machine does.
func (r *room) call(method, path, body string, headers ...string) *http.Response {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.t.Context(), method, "http://localhost:8081"+path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w.Result()
}

func (r *room) text(response *http.Response, status int) string {
	r.t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if response.StatusCode != status {
		r.t.Fatalf("status %d, want %d: %s", response.StatusCode, status, body)
	}
	return string(body)
}

func (r *room) read(path string, into any) {
	r.t.Helper()
	response := r.call("GET", path, "")
	if err := json.NewDecoder(strings.NewReader(r.text(response, 200))).Decode(into); err != nil {
		r.t.Fatal(err)
	}
	if kind := response.Header.Get("Content-Type"); kind != "application/json" {
		r.t.Errorf("%s is %q", path, kind)
	}
}

type shownTask struct {
	ID, Type, State, Payload, Result string
	Error                            string `json:"error_message"`
}

func (r *room) task(queue, id string) (t shownTask) {
	r.t.Helper()
	r.read(dashboard.Root+"/api/queues/"+queue+"/tasks/"+id, &t)
	return t
}

func (r *room) list(queue, state string) []shownTask {
	r.t.Helper()
	var page struct {
		Tasks []shownTask
		Stats struct{ Queue string }
	}
	r.read(dashboard.Root+"/api/queues/"+queue+"/"+state+"_tasks?size=100", &page)
	if page.Stats.Queue != queue {
		r.t.Errorf("the page of %s has lost the queue's numbers", state)
	}
	return page.Tasks
}

type buffer struct{ bytes.Buffer }

func (b *buffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
