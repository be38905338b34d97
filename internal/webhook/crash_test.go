package webhook_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/results"
)

// Environment of a child: a process that delivers until it is killed.
const (
	childEnv   = "COZEQ_TEST_WEBHOOK_REDIS"
	childFile  = "COZEQ_TEST_WEBHOOK_SECRETS"
	childRoots = "COZEQ_TEST_WEBHOOK_ROOTS"
)

func child(url string) {
	options, err := redis.ParseURL(url)
	if err != nil {
		panic(err)
	}
	secrets, err := webhook.LoadSecrets(os.Getenv(childFile), nil)
	if err != nil {
		panic(err)
	}
	allow, _ := webhook.ParseAllow("127.0.0.1")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(os.Getenv(childRoots)))
	s, err := webhook.New(webhook.Config{
		Store: results.NewStore(redis.NewClient(options)), ClientConfig: webhook.ClientConfig{Secrets: secrets, Allow: allow, RootCAs: roots},
	})
	if err != nil {
		panic(err)
	}
	_ = s.Run(context.Background())
}

// startChild starts a process that delivers. kill ends it as kill -9 does, and returns when it is gone.
func startChild(t *testing.T, url string, r *receiver) (kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+url, childFile+"="+secretsFile(t, "default "+oldSecret+"\ndefault "+newSecret+"\n"),
		childRoots+"="+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	go func() { _ = cmd.Wait(); close(dead) }()
	kill = func() { _ = cmd.Process.Kill(); <-dead }
	t.Cleanup(kill)
	return kill
}

// TestProcessDies kills the delivering process between each two steps. Another process delivers; the event may come twice,
// with one webhook-id.
func TestProcessDies(t *testing.T) {
	if testing.Short() {
		t.Skip("a dead process is found out after 13 s")
	}
	t.Parallel()
	for _, c := range []struct {
		step   string
		during http.HandlerFunc // nil: killed before the end of the task
	}{
		{step: "scheduled and enqueued, and the task has not ended"},
		{step: "the request is sent, and there is no answer", during: func(http.ResponseWriter, *http.Request) {}},
		{step: "the answer is sent, and perhaps not noted", during: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}},
		{step: "a failure is answered, and perhaps not noted", during: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			w.(http.Flusher).Flush()
		}},
	} {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			r := newRig(t, server.Client(), nil)
			kill := startChild(t, server.URL(), r.receiver)
			if c.during == nil {
				r.schedule("a")
				r.runAgain("wh-a")
				r.comesTo("wh-a", asynq.TaskStateRetry, 0) // the child has looked
				kill()
				r.Answer("a")
				r.start()
				r.runAgain("wh-a") // as when its next look is due
				verified(t, r.receiver.next(t))
				r.comesTo("wh-a", asynq.TaskStateCompleted, 0)
				return
			}
			r.receiver.answers(func(w http.ResponseWriter, q *http.Request) { c.during(w, q); kill() })
			r.schedule("a")
			r.runAgain("wh-a")
			r.Answer("a")
			if info := r.webhook("wh-a"); info.State == asynq.TaskStateRetry { // it was looked at just before the end
				r.runAgain("wh-a")
			}
			first := r.receiver.next(t)
			kill()
			r.receiver.answersStatus(http.StatusOK)
			r.start()
			awaittest.Until(t, "the webhook is delivered", func() bool {
				info := r.webhook("wh-a")
				if info.State == asynq.TaskStateRetry { // the failure was noted: its next try is due
					_ = r.Inspector.RunTask(webhook.Queue, "wh-a")
				}
				return info.State == asynq.TaskStateCompleted
			})
			for len(r.receiver.got) > 0 {
				if d := <-r.receiver.got; d.id() != first.id() || d.Body != first.Body {
					t.Errorf("delivered %s %s, then %s %s", first.id(), first.Body, d.id(), d.Body)
				}
			}
		})
	}
}

func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.AppendOnly("always"))
	r := newRig(t, server.Client(), nil).start()
	r.schedule("a")
	r.schedule("b")
	server.Restart()
	awaittest.NoError(t, "Redis answers", func() error { return server.Client().Ping(t.Context()).Err() })
	r.Answer("a")
	if d := r.receiver.next(t); d.id() != "a" {
		t.Errorf("delivered %s", d.id())
	}
	r.comesTo("wh-a", asynq.TaskStateCompleted, 0) // until then it may be delivered again
	killed := make(chan struct{})
	r.receiver.answers(func(http.ResponseWriter, *http.Request) {
		select {
		case <-killed:
		case <-r.receiver.over:
		}
	})
	r.Answer("b")
	if d := r.receiver.next(t); d.id() != "b" {
		t.Errorf("delivered %s", d.id())
	}
	server.Kill()
	r.receiver.answersStatus(http.StatusOK)
	close(killed)
	server.Restart()
	r.comesTo("wh-b", asynq.TaskStateCompleted, 0)
	r.Must(r.Schedule(t.Context(), webhook.Task, "c", webhook.Target{URL: r.receiver.URL}))
	r.Enqueue(tasktest.Turn(""), "c")
	r.Answer("c")
	awaittest.Until(t, "c is delivered", func() bool { return (<-r.receiver.got).id() == "c" })
}
