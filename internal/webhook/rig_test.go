package webhook_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/internal/webhook"
)

// Secrets of the tests.
var (
	oldSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmn"))
	newSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("nmlkjihgfedcba9876543210"))
)

func secretsFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// delivery is a request that a receiver has got.
type delivery struct {
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
}

func (d delivery) id() string { return d.Header.Get("webhook-id") }

// receiver is somebody's server.
type receiver struct {
	*httptest.Server
	got  chan delivery
	over chan struct{} // closed before the server is

	mu     sync.Mutex
	answer http.HandlerFunc
}

// newReceiver starts a receiver with TLS that answers 200.
func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{got: make(chan delivery, 1000), over: make(chan struct{})}
	r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.got <- delivery{req.Header, string(body)}
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(func() { close(r.over); r.Close() })
	return r
}

func (r *receiver) answers(f http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) answersStatus(code int) {
	r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func (r *receiver) next(t testing.TB) delivery {
	t.Helper()
	select {
	case d := <-r.got:
		return d
	case <-time.After(time.Minute):
		t.Fatal("nothing was delivered")
	}
	return delivery{}
}

// none wants that nothing more has come.
func (r *receiver) none(t testing.TB) {
	t.Helper()
	select {
	case d := <-r.got:
		t.Errorf("delivered once more: %s %s", d.id(), d.Body)
	default:
	}
}

type rig struct {
	*tasktest.Line
	*webhook.Sender
	client   *webhook.Client // as the Sender's
	receiver *receiver
	log      *awaittest.Log
	stop     func()
}

// newRig has a receiver on loopback, which is allowed, and a Sender that is not running.
func newRig(t testing.TB, rdb redis.UniversalClient, change func(*webhook.Config)) *rig {
	t.Helper()
	r := &rig{Line: tasktest.New(t, rdb), receiver: newReceiver(t), log: new(awaittest.Log)}
	t.Cleanup(func() { r.Store.Close() })
	secrets, err := webhook.LoadSecrets(secretsFile(t, "default "+oldSecret+"\ndefault "+newSecret+"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	allow, err := webhook.ParseAllow("127.0.0.0/8", "::1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(r.receiver.Certificate())
	cfg := webhook.Config{
		Store: r.Store, ClientConfig: webhook.ClientConfig{Secrets: secrets, Allow: allow, RootCAs: roots}, Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Drain: 100 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	r.client = webhook.NewClient(cfg.ClientConfig)
	if r.Sender, err = webhook.New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs the Sender until the test ends or stop is called.
func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.T.Errorf("run: %v", err)
		}
	})
	r.T.Cleanup(r.stop)
	return r
}

// schedule schedules the webhook of a task, and enqueues the task.
func (r *rig) schedule(id string) {
	r.T.Helper()
	r.Must(r.Schedule(r.T.Context(), webhook.Task, id, webhook.Target{URL: r.receiver.URL + "/hook?token=hidden"}))
	r.Enqueue(tasktest.Turn(""), id)
}

// webhook is the asynq task that delivers, nil if there is none.
func (r *rig) webhook(id string) *asynq.TaskInfo {
	info, err := r.Inspector.GetTaskInfo(webhook.Queue, id)
	if err != nil {
		return nil
	}
	return info
}

// comesTo waits until the delivery of a task is in a state, after so many failed tries.
func (r *rig) comesTo(id string, state asynq.TaskState, retried int) *asynq.TaskInfo {
	r.T.Helper()
	var info *asynq.TaskInfo
	awaittest.NoError(r.T, fmt.Sprintf("%s is %v", id, state), func() error {
		if info = r.webhook(id); info == nil || info.State != state || info.Retried != retried {
			return fmt.Errorf("it is %+v", info)
		}
		return nil
	})
	return info
}

// runAgain has a delivery run that waits for its next try, as the dashboard's button does.
func (r *rig) runAgain(id string) {
	r.T.Helper()
	r.Must(r.Inspector.RunTask(webhook.Queue, id))
}
