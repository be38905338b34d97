package worker_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// These make the test binary serve a mock of Coze instead of running tests:
// benchmarks measure their own process and want the mock in another.
const (
	envMock = "COZEQ_TEST_MOCK_DELTAS" // deltas an answer
	envPace = "COZEQ_TEST_MOCK_PACE"   // time after each, a Go duration

	// These make it serve as a worker.
	envWorker      = "COZEQ_TEST_WORKER_REDIS"
	envCoze        = "COZEQ_TEST_WORKER_COZE"
	envConcurrency = "COZEQ_TEST_WORKER_CONCURRENCY" // defaults to 32
	envDial        = "COZEQ_TEST_WORKER_DIAL"        // what each connection to Coze takes, a Go duration
)

func TestMain(m *testing.M) {
	if deltas, err := strconv.Atoi(os.Getenv(envMock)); err == nil {
		serveMock(deltas)
		return
	}
	if url := os.Getenv(envWorker); url != "" {
		serveWorker(url, os.Getenv(envCoze))
		return
	}
	goleak.VerifyTestMain(m)
}

// serveWorker is a worker process that a test can kill.
func serveWorker(redisURL, cozeURL string) {
	exitWithParent()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		panic(err)
	}
	concurrency, err := strconv.Atoi(cmp.Or(os.Getenv(envConcurrency), "32"))
	if err != nil {
		panic(err)
	}
	transport, idle := coze.NewTransport(concurrency), 3*time.Second
	if takes, err := time.ParseDuration(os.Getenv(envDial)); err == nil {
		dial := transport.DialContext
		idle, transport.DisableKeepAlives = 0, true
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(takes)
			return dial(ctx, network, address)
		}
	}
	var over http.RoundTripper = transport
	tools := make(map[string]worker.Tool)
	if path := os.Getenv(envTools); path != "" {
		over, tools["step"] = holdNoted{transport}, stepTool(path, true)
	}
	var progress func(context.Context, worker.Progress) error
	if os.Getenv(envStands) != "" {
		idle, over, progress = 0, stands{transport}, standBefore
	}
	var taskTool func(tasks.ToolWebhook) worker.Tool
	if path := os.Getenv(envSecrets); path != "" {
		taskTool = taskTools(path)
	}
	w, err := worker.New(worker.Config{
		Tools: tools, TaskTool: taskTool, OnProgress: progress,
		Redis: redis.NewClient(options),
		Coze: &coze.Client{
			BaseURL: cozeURL, Auth: coze.StaticToken("token"), Idle: idle,
			HTTP: &http.Client{Transport: over},
		},
		Concurrency: concurrency,
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		panic(err)
	}
	for w.Run(context.Background()) != nil {
		time.Sleep(100 * time.Millisecond) // Redis is being restarted
	}
}

// exitWithParent ends this process when the test that started it is gone: that
// one holds the other end of standard input.
func exitWithParent() {
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
}

func serveMock(deltas int) {
	const word = "这是回答里的一个片段，和真实的一样长。"
	pace, _ := time.ParseDuration(os.Getenv(envPace))
	answer := ""
	for range deltas {
		answer += word
	}
	fake, err := cozetest.NewHandler(cozetest.Config{
		Deltas: deltas, KeepLog: -1, Forget: time.Minute, FollowUps: 3,
		DeltaPace: pace,
		Answer:    func(string) string { return answer },
	})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	exitWithParent()
	server := &http.Server{Handler: fake, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	_ = server.Serve(listener)
}
