package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
	"github.com/cozeq/cozeq/worker"
)

// verified checks the signature by the words of the standard, and returns the event.
func verified(t *testing.T, d delivery) (event struct {
	Type      string
	Timestamp time.Time
	Data      map[string]any
}) {
	t.Helper()
	stamp := d.Header.Get("webhook-timestamp")
	if n, err := strconv.ParseInt(stamp, 10, 64); err != nil || time.Since(time.Unix(n, 0)).Abs() > 5*time.Minute {
		t.Errorf("timestamp %q", stamp)
	}
	signatures := strings.Fields(d.Header.Get("webhook-signature"))
	if len(signatures) != 2 {
		t.Fatalf("signatures %q, want one for each secret", signatures)
	}
	for i, secret := range []string{oldSecret, newSecret} {
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(d.id() + "." + stamp + "." + d.Body))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); signatures[i] != want {
			t.Errorf("signature %s, want %s", signatures[i], want)
		}
	}
	if kind := d.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %q", kind)
	}
	if err := json.Unmarshal([]byte(d.Body), &event); err != nil {
		t.Fatalf("%v: %s", err, d.Body)
	}
	return event
}

func TestTaskEnded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		reg := prometheus.NewRegistry()
		r := newRig(t, rdb, func(c *webhook.Config) { c.Metrics = reg }).start()
		r.schedule("a.1")
		r.receiver.none(t)
		r.Answer("a.1")
		d := r.receiver.next(t)
		if d.id() != "a~1" {
			t.Errorf("webhook-id %q: the standard allows no dot", d.id())
		}
		event := verified(t, d)
		record, err := r.Store.Get(t.Context(), "a.1")
		if err != nil {
			t.Fatal(err)
		}
		if event.Type != "task.ended" || event.Data["id"] != "a.1" || event.Data["status"] != "completed" || !event.Timestamp.Equal(record.CompletedAt.Time) {
			t.Errorf("event %+v of %+v", event, record)
		}
		info := r.comesTo("wh-a.1", asynq.TaskStateCompleted, 0)
		if strings.Contains(string(info.Payload)+r.log.String(), "whsec") {
			t.Errorf("a secret in %s or in the log", info.Payload)
		}
		if strings.Contains(r.log.String(), "hidden") {
			t.Error("the query of the URL is in the log")
		}

		// The same again, as a client that repeats its request: nothing is sent twice.
		r.Must(r.Schedule(t.Context(), webhook.Task, "a.1", webhook.Target{URL: r.receiver.URL}))
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var sent float64
		for _, f := range families {
			if f.GetName() == "cozeq_webhook_deliveries_total" {
				for _, m := range f.GetMetric() {
					if m.GetLabel()[0].GetValue() == "delivered" {
						sent = m.GetCounter().GetValue()
					}
				}
			}
		}
		if sent != 1 {
			t.Errorf("%v deliveries counted", sent)
		}
		r.receiver.none(t)
	})
}

func TestBatchEnded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRig(t, rdb, nil).start()
		r.Must(r.Schedule(t.Context(), webhook.Batch, "b", webhook.Target{URL: r.receiver.URL}))
		c := batches.New(r.Tasks)
		if _, _, err := c.Create(t.Context(), batches.Spec{ID: "b", Name: "faq.csv", Rows: 1, BotID: "1"}); err != nil {
			t.Fatal(err)
		}
		r.Must(c.Cancel(t.Context(), "b", func(int, int) {}))
		d := r.receiver.next(t)
		event := verified(t, d)
		counts, _ := event.Data["counts"].(map[string]any)
		if d.id() != "b" || event.Type != "batch.ended" || event.Data["name"] != "faq.csv" || counts["total"] != 1.0 || counts["canceled"] != 1.0 {
			t.Errorf("%s %+v", d.id(), event)
		}
		r.comesTo("whb-b", asynq.TaskStateCompleted, 0)
	})
}

// The watchdog alone: the process that scheduled it is gone, and the record too before the last try.
func TestRetriesUntilGivenUp(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		other := newRig(t, rdb, nil)
		r := newRig(t, rdb, nil)
		r.receiver.answersStatus(http.StatusInternalServerError)
		r.Must(other.Schedule(t.Context(), webhook.Task, "a", webhook.Target{URL: r.receiver.URL}))
		r.Enqueue(tasktest.Turn(""), "a")
		r.start()
		r.runAgain("wh-a") // as when its first look is due
		if info := r.comesTo("wh-a", asynq.TaskStateRetry, 0); !strings.Contains(info.LastErr, "not ended") {
			t.Errorf("put back with %q", info.LastErr)
		}
		r.Answer("a")
		first := r.receiver.next(t)
		for n := 1; n < webhook.Tries; n++ {
			info := r.comesTo("wh-a", asynq.TaskStateRetry, n)
			if !strings.Contains(info.LastErr, "500") {
				t.Errorf("try %d ended with %q", n, info.LastErr)
			}
			if n == 2 {
				r.Must(r.Store.Delete(t.Context(), "a"))
			}
			r.runAgain("wh-a")
			d := r.receiver.next(t)
			if d.id() != first.id() || d.Body != first.Body {
				t.Errorf("try %d sends %s %s, the first sent %s %s", n+1, d.id(), d.Body, first.id(), first.Body)
			}
			verified(t, d)
		}
		r.comesTo("wh-a", asynq.TaskStateArchived, webhook.Tries-1)
		if !strings.Contains(r.log.String(), "given up after its last try") {
			t.Error("nothing in the log")
		}

		// An operator runs it again from the dashboard.
		r.receiver.answersStatus(http.StatusNoContent)
		r.runAgain("wh-a")
		if d := r.receiver.next(t); d.Body != first.Body {
			t.Errorf("run again it sends %s", d.Body)
		}
		r.comesTo("wh-a", asynq.TaskStateCompleted, webhook.Tries-1)
	})
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	var elsewhere = newReceiver(t)
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, q *http.Request, over <-chan struct{})
		state  asynq.TaskState
		failed int
		why    string
	}{
		"gone": {func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) { w.WriteHeader(http.StatusGone) }, asynq.TaskStateArchived, 0, "410"},
		"redirect": {func(w http.ResponseWriter, q *http.Request, over <-chan struct{}) {
			http.Redirect(w, q, elsewhere.URL, http.StatusTemporaryRedirect)
		}, asynq.TaskStateRetry, 1, "redirects are not followed"},
		"silent": {func(_ http.ResponseWriter, q *http.Request, over <-chan struct{}) { <-over }, asynq.TaskStateRetry, 1, "no answer within"},
		"cut":    {func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) { panic(http.ErrAbortHandler) }, asynq.TaskStateRetry, 1, "EOF"},
		"huge": {func(w http.ResponseWriter, q *http.Request, over <-chan struct{}) {
			chunk := make([]byte, 1<<20)
			for q.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, asynq.TaskStateCompleted, 0, ""},
		"slow body": {func(w http.ResponseWriter, q *http.Request, over <-chan struct{}) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			select {
			case <-q.Context().Done():
			case <-over:
			}
		}, asynq.TaskStateCompleted, 0, ""},
		"long header": {func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, asynq.TaskStateRetry, 1, ""},
		"busy": {func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, asynq.TaskStateRetry, 1, "429"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rdb, func(c *webhook.Config) {
				if name == "silent" {
					c.Timeout = 2 * time.Second // the others would run into it on a crowded machine
				}
			})
			r.receiver.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			r.receiver.answers(func(w http.ResponseWriter, q *http.Request) { c.answer(w, q, r.receiver.over) })
			id := strings.ReplaceAll(name, " ", "-")
			r.start().schedule(id)
			r.Answer(id)
			r.receiver.next(t)
			info := r.comesTo("wh-"+id, c.state, c.failed)
			if !strings.Contains(info.LastErr, c.why) || strings.Contains(info.LastErr, "hidden") {
				t.Errorf("it says %q, want %q and no query", info.LastErr, c.why)
			}
			if name == "busy" {
				if wait := time.Until(info.NextProcessAt); wait < 55*time.Minute || wait > 61*time.Minute {
					t.Errorf("again in %v, and the receiver said an hour", wait)
				}
				r.schedule("busy-2")
				r.Answer("busy-2")
				if info := r.comesTo("wh-busy-2", asynq.TaskStateRetry, 0); !strings.Contains(info.LastErr, "busy") {
					t.Errorf("the next for a receiver that is busy: %q", info.LastErr)
				}
				r.receiver.none(t)
			}
		})
	}
	elsewhere.none(t)
}

func TestUnknownTask(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.Embedded(t), nil).start()
	r.Must(r.Schedule(t.Context(), webhook.Task, "a", webhook.Target{URL: r.receiver.URL}))
	r.runAgain("wh-a")
	if info := r.comesTo("wh-a", asynq.TaskStateRetry, 0); !strings.Contains(info.LastErr, "no such task yet") {
		t.Errorf("put back with %q", info.LastErr)
	}
	r.Enqueue(tasktest.Turn(""), "a") // the caller was only slow
	r.Answer("a")
	r.receiver.next(t)
}

// A caller that dies between scheduling and enqueueing may come back with another URL.
func TestScheduledAgainWithAnotherURL(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRig(t, rdb, nil)
		r.Must(r.Schedule(t.Context(), webhook.Task, "a", webhook.Target{URL: "https://example.com/old"}))
		r.schedule("a")
		r.Must(r.Schedule(t.Context(), webhook.Task, "a", webhook.Target{URL: "https://example.com/late"}))
		r.start()
		r.Answer("a")
		r.receiver.next(t)
	})
}

func TestLongResultIsThin(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.Embedded(t), func(c *webhook.Config) { c.API = "https://cozeq.example" }).start()
	r.schedule("a")
	attempt := r.Begin("a")
	attempt.Result.Status, attempt.Result.Answer = results.Completed, strings.Repeat("长", 200_000)
	r.Must(attempt.Finish(t.Context(), false))
	d := r.receiver.next(t)
	event := verified(t, d)
	if len(d.Body) > 2000 || event.Data["truncated"] != true || event.Data["url"] != "https://cozeq.example/api/v1/tasks/a" ||
		event.Data["status"] != "completed" || event.Data["answer"] != nil {
		t.Errorf("%d bytes: %.500s", len(d.Body), d.Body)
	}
}

func TestEncrypted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		keys, err := results.ParseKeys([]byte("k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32))))
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, rdb, nil)
		r.Store.Keys = keys
		r.Tasks = tasks.NewClient(r.Store)
		r.receiver.answersStatus(http.StatusBadRequest)
		r.start().schedule("a")
		attempt := r.Begin("a")
		attempt.Result.Status, attempt.Result.Answer = results.Completed, "a plain answer"
		r.Must(attempt.Finish(t.Context(), false))
		first := r.receiver.next(t)
		info := r.comesTo("wh-a", asynq.TaskStateRetry, 1)
		if kept := string(info.Payload) + string(info.Result); strings.Contains(kept, "hidden") || strings.Contains(kept, "plain answer") {
			t.Errorf("in Redis: %s", kept)
		}
		if !strings.Contains(first.Body, "a plain answer") {
			t.Errorf("sent: %s", first.Body)
		}
		r.receiver.answersStatus(http.StatusOK)
		r.runAgain("wh-a")
		if d := r.receiver.next(t); d.Body != first.Body {
			t.Errorf("sent again: %s", d.Body)
		}
	})
}

// One slow receiver gets a quarter of the slots, and the others are served.
func TestSlowReceiverHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.Embedded(t), func(c *webhook.Config) { c.MaxConcurrent = 8 })
	r.receiver.answers(func(http.ResponseWriter, *http.Request) { <-r.receiver.over })
	quick := newReceiver(t)
	r.start()
	for _, id := range []string{"s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"} {
		r.schedule(id)
		r.Answer(id)
	}
	r.receiver.next(t)
	r.receiver.next(t)
	r.Must(r.Schedule(t.Context(), webhook.Task, "q", webhook.Target{URL: quick.URL}))
	r.Enqueue(tasktest.Turn(""), "q")
	r.Answer("q")
	quick.next(t)
	r.receiver.none(t)
}

// A task that was never enqueued, one whose result is not kept any more, and what others put into the queue: nothing of it
// is dropped, and nothing of it is tried for ever.
func TestNothingToSend(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRig(t, rdb, nil).start()
		client := asynq.NewClientFromRedisClient(rdb)
		for id, c := range map[string]struct{ kind, payload, why string }{
			"wh-never": {webhook.TypeName, `{"v":1,"kind":"task","id":"never","url":"https://example.com","secret":"default","created_at":"2026-01-01T00:00:00.000Z"}`, "no such task or batch"},
			"whb-gone": {webhook.TypeName, `{"v":1,"kind":"batch","id":"gone","url":"https://example.com","secret":"default","created_at":"2026-01-01T00:00:00.000Z"}`, "no such task or batch"},
			"wh-later": {webhook.TypeName, `{"v":2,"kind":"task","id":"later"}`, "version 2"},
			"wh-text":  {webhook.TypeName, `hello`, "no note of a webhook"},
			"chat":     {tasks.TypeChat, `{}`, "type coze:chat"},
		} {
			if _, err := client.Enqueue(asynq.NewTask(c.kind, []byte(c.payload)), asynq.TaskID(id), asynq.Queue(webhook.Queue), asynq.MaxRetry(webhook.Tries)); err != nil {
				t.Fatal(err)
			}
			if info := r.comesTo(id, asynq.TaskStateArchived, 0); !strings.Contains(info.LastErr, c.why) {
				t.Errorf("%s: %q, want %q", id, info.LastErr, c.why)
			}
		}
	})
}

// A secret that is taken away while its deliveries wait.
func TestSecretIsGone(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	before := newRig(t, rdb, nil)
	before.schedule("a")
	r := newRig(t, rdb, func(c *webhook.Config) {
		var err error
		if c.Secrets, err = webhook.LoadSecrets(secretsFile(t, "other "+oldSecret), nil); err != nil {
			t.Fatal(err)
		}
	})
	r.start().Answer("a")
	r.runAgain("wh-a")
	if info := r.comesTo("wh-a", asynq.TaskStateRetry, 1); !strings.Contains(info.LastErr, "no secret default any more") {
		t.Errorf("it says %q", info.LastErr)
	}
	before.receiver.none(t)
}

// Who counts workers does not count those that deliver webhooks: they ask nothing.
func TestIsNoWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.Embedded(t), nil).start()
	awaittest.Until(t, "a server is seen", func() bool {
		servers, err := r.Inspector.Servers()
		return err == nil && len(servers) == 1
	})
	reg := prometheus.NewRegistry()
	reg.MustRegister(worker.Collectors(r.Redis, nil)...)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "cozeq_workers" && f.GetMetric()[0].GetGauge().GetValue() != 0 {
			t.Errorf("%v workers", f.GetMetric())
		}
	}
}
