package worker_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// BenchmarkTask compares the CPU that this worker takes for a task with what a
// plain asynq handler takes that posts the question with net/http and decodes
// every event with encoding/json, both in this process, on the same mock and Redis
// in processes of their own. It compares what both take of that Redis, too.
func BenchmarkTask(b *testing.B) {
	for _, deltas := range []int{20, 200, 1000} {
		b.Run(fmt.Sprint("deltas=", deltas), func(b *testing.B) {
			server := redistest.Start(b)
			rdb, servers := server.Client(), []*redistest.Server{server}
			url := startMock(b, deltas)
			// In turns: this machine is not equally fast from one second to the next.
			const round = 2000
			turns := 5
			if testing.Short() { // make bench-ratios
				turns = 1
			}
			took, redisTook := map[string]time.Duration{}, map[string]time.Duration{}
			measure := func(kind string, enqueue, work func(n int)) {
				enqueue(200)
				work(200) // scripts, and the garbage collector's idea of us
				enqueue(round)
				before, redisBefore := cpu(), loadOf(b, servers)
				work(round)
				took[kind] += cpu() - before
				redisTook[kind] += loadOf(b, servers).since(redisBefore).cpu
			}
			n := 0
			for b.Loop() {
				for range turns {
					n += round
					measure("plain",
						func(n int) { enqueuePlain(b, rdb, n) }, func(n int) { runPlain(b, rdb, url, n) })
					measure("cozeq",
						func(n int) { enqueueChats(b, rdb, n) }, func(n int) { runWorker(b, rdb, url, n) })
				}
			}
			for kind, took := range took {
				b.ReportMetric(float64(took.Microseconds())/float64(n), kind+"-us/task")
				b.ReportMetric(float64(redisTook[kind].Microseconds())/float64(n), kind+"-redis-us/task")
			}
			b.ReportMetric(float64(took["cozeq"])/float64(took["plain"]), "ratio")
			b.ReportMetric(float64(redisTook["cozeq"])/float64(redisTook["plain"]), "redis-ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMemory holds streams open in a plain handler and in a worker. It reports the memory
// that each takes a third into its answer (connections, goroutines, asynq's share, and
// ours), and the CPU of holding them until then. None may be lost meanwhile, and asynq's
// leases must be kept up.
func BenchmarkMemory(b *testing.B) {
	for _, streams := range []int{2_000, 10_000} {
		pace := time.Duration(streams) * time.Second / 20_000 // 20,000 pieces a second in all
		for _, version := range []int{1, 2} {
			b.Run(fmt.Sprintf("streams=%d/http=%d", streams, version), func(b *testing.B) {
				rdb := redistest.Start(b).Client()
				url := startMock(b, 300, envPace+"="+pace.String())
				spent := map[string]time.Duration{}
				hold := func(kind string, enqueue func(), work func(ctx context.Context)) {
					enqueue()
					debug.FreeOSMemory()
					before := rss(b)
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					done := make(chan struct{})
					go func() { defer close(done); work(ctx) }()
					for rdb.LLen(ctx, "asynq:{default}:active").Val() < int64(streams) {
						select {
						case <-done:
							b.Fatal("it has ended")
						case <-time.After(10 * time.Millisecond):
						}
					}
					began := cpu()
					time.Sleep(100 * pace)
					took := cpu() - began
					spent[kind] += took
					b.ReportMetric(float64(rss(b)-before)/float64(streams)/1024, kind+"-KiB/stream")
					b.ReportMetric(took.Seconds()/(100*pace).Seconds(), kind+"-cores")
					if n := rdb.ZCount(ctx, "asynq:{default}:lease", fmt.Sprint(time.Now().Unix()), "+inf").Val(); n != int64(streams) {
						b.Fatalf("%d of %d streams are held", n, streams)
					}
					cancel()
					<-done
					rdb.FlushAll(context.Background())
				}
				for b.Loop() {
					hold("plain", func() { enqueuePlain(b, rdb, streams) }, func(ctx context.Context) {
						servePlain(ctx, b, rdb, url, speaking(http.DefaultTransport.(*http.Transport).Clone(), version), streams)
					})
					knowRate(b, rdb, url)
					hold("cozeq", func() { enqueueChats(b, rdb, streams) }, func(ctx context.Context) {
						serveChats(ctx, b, rdb, url, speaking(coze.NewTransport(streams), version), worker.Config{Concurrency: streams, Drain: -1})
					})
				}
				b.ReportMetric(float64(spent["cozeq"])/float64(spent["plain"]), "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// speaking makes a transport speak a version of HTTP, without TLS.
func speaking(t *http.Transport, version int) *http.Transport {
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(version == 1)
	t.Protocols.SetUnencryptedHTTP2(version == 2)
	return t
}

// rss is the resident memory of this process in bytes.
func rss(tb testing.TB) int64 {
	tb.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Skip("no /proc here")
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		tb.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

func startMock(tb testing.TB, deltas int, env ...string) string {
	tb.Helper()
	mock := exec.Command(os.Args[0])
	mock.Env = append(append(os.Environ(), env...), fmt.Sprintf("%s=%d", envMock, deltas))
	mock.Stderr = os.Stderr
	stdin, err := mock.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := mock.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := mock.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		_ = mock.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// knowRate makes the limiter know that there is no limit to speak of, as it would
// after a while: until then questions wait for their permits, and waiting is not what
// is measured.
func knowRate(tb testing.TB, rdb redis.UniversalClient, url string) {
	tb.Helper()
	client := &coze.Client{BaseURL: url, Auth: coze.StaticToken("token")}
	id, err := client.Identity(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	rdb.HSet(context.Background(), "cozeq:limit:{"+id+"}", "rate", 1e6)
}

// waitProcessed waits until the queue has no more work.
func waitProcessed(tb testing.TB, rdb redis.UniversalClient, want int) {
	tb.Helper()
	for start := time.Now(); rdb.ZCard(context.Background(), "asynq:{default}:completed").Val() < int64(want); {
		if time.Since(start) > 2*time.Minute {
			tb.Fatal("the queue was not worked off within two minutes")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func enqueueChats(tb testing.TB, rdb redis.UniversalClient, n int) {
	tb.Helper()
	client := tasks.NewClient(results.NewStore(rdb))
	for i := range n {
		if _, err := client.Enqueue(context.Background(), tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{}); err != nil {
			tb.Fatal(err)
		}
	}
}

func runWorker(tb testing.TB, rdb redis.UniversalClient, url string, n int) {
	tb.Helper()
	knowRate(tb, rdb, url)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); serveChats(ctx, tb, rdb, url, coze.NewTransport(64), worker.Config{}) }()
	waitProcessed(tb, rdb, n)
	cancel()
	<-done
	rdb.FlushAll(context.Background()) // not before: a worker whose Redis is emptied notes its last chats again
}

// serveChats is a worker, until ctx ends.
func serveChats(ctx context.Context, tb testing.TB, rdb redis.UniversalClient, url string, transport *http.Transport, c worker.Config) {
	defer transport.CloseIdleConnections()
	c.Redis, c.Logger = rdb, slog.New(slog.DiscardHandler)
	c.Coze = &coze.Client{BaseURL: url, Auth: coze.StaticToken("token"), HTTP: &http.Client{Transport: transport}}
	w, err := worker.New(c)
	if err == nil {
		err = w.Run(ctx)
	}
	if err != nil {
		tb.Error(err)
	}
}

func enqueuePlain(tb testing.TB, rdb redis.UniversalClient, n int) {
	tb.Helper()
	client := asynq.NewClientFromRedisClient(rdb)
	for i := range n {
		payload, err := json.Marshal(map[string]string{"bot_id": "bot", "question": fmt.Sprint("question ", i)})
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := client.Enqueue(asynq.NewTask("plain:chat", payload), asynq.Retention(time.Hour)); err != nil {
			tb.Fatal(err)
		}
	}
}

func runPlain(tb testing.TB, rdb redis.UniversalClient, url string, n int) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		servePlain(ctx, tb, rdb, url, http.DefaultTransport.(*http.Transport).Clone(), 64)
	}()
	waitProcessed(tb, rdb, n)
	cancel()
	<-done
	rdb.FlushAll(context.Background())
}

// servePlain is what one writes in an afternoon, until ctx ends.
func servePlain(ctx context.Context, tb testing.TB, rdb redis.UniversalClient, url string, transport *http.Transport, concurrency int) {
	defer transport.CloseIdleConnections()
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: concurrency, LogLevel: asynq.FatalLevel, BaseContext: func() context.Context { return ctx },
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc("plain:chat", plainHandler(&http.Client{Transport: transport}, url))
	if err := server.Start(mux); err != nil {
		tb.Error(err)
		return
	}
	<-ctx.Done()
	server.Shutdown()
}

func plainHandler(client *http.Client, url string) asynq.HandlerFunc {
	type message struct {
		ID, Role, Type, Content string
		ContentType             string `json:"content_type"`
		ConversationID          string `json:"conversation_id"`
		ChatID                  string `json:"chat_id"`
	}
	type chat struct {
		ID             string `json:"id"`
		ConversationID string `json:"conversation_id"`
		Status         string `json:"status"`
		Usage          struct {
			TokenCount int `json:"token_count"`
		} `json:"usage"`
	}
	return func(ctx context.Context, t *asynq.Task) error {
		var payload struct {
			BotID    string `json:"bot_id"`
			Question string `json:"question"`
		}
		if err := json.Unmarshal(t.Payload(), &payload); err != nil {
			return err
		}
		body, err := json.Marshal(map[string]any{
			"bot_id": payload.BotID, "user_id": "plain", "stream": true,
			"additional_messages": []map[string]string{{
				"role": "user", "type": "question", "content": payload.Question, "content_type": "text",
			}},
		})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v3/chat", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer token")
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		scanner := bufio.NewScanner(resp.Body)
		scanner.Buffer(make([]byte, 0, 64<<10), 8<<20)
		var event, conversation string
		var answer strings.Builder
		var last chat
		for scanner.Scan() {
			line := scanner.Text()
			if name, ok := strings.CutPrefix(line, "event:"); ok {
				event = name
				continue
			}
			data, ok := strings.CutPrefix(line, "data:")
			if !ok {
				continue
			}
			switch event {
			case "conversation.message.delta", "conversation.message.completed":
				var m message
				if err := json.Unmarshal([]byte(data), &m); err != nil {
					return err
				}
				if event == "conversation.message.delta" && m.Type == "answer" {
					answer.WriteString(m.Content)
				}
			case "conversation.chat.created", "conversation.chat.in_progress", "conversation.chat.completed":
				if err := json.Unmarshal([]byte(data), &last); err != nil {
					return err
				}
				conversation = last.ConversationID
			}
		}
		if err := scanner.Err(); err != nil {
			return err
		}
		if last.Status != "completed" {
			return io.ErrUnexpectedEOF
		}
		result, err := json.Marshal(map[string]any{
			"answer": answer.String(), "conversation_id": conversation, "chat_id": last.ID, "tokens": last.Usage.TokenCount,
		})
		if err != nil {
			return err
		}
		_, err = t.ResultWriter().Write(result)
		return err
	}
}

// BenchmarkConversations holds 1,000 conversations of 10 turns at concurrency 100
// and compares with the time that the chats alone take.
func BenchmarkConversations(b *testing.B) {
	const conversations, turns, concurrency = 1000, 10, 100
	const latency = 300 * time.Millisecond
	for b.Loop() {
		rdb := redistest.Start(b).Client()
		url := startMock(b, 10, envPace+"="+(latency/10).String())
		client := tasks.NewClient(results.NewStore(rdb))
		for turn := range turns {
			for c := range conversations {
				chat := tasks.Ask("bot", fmt.Sprint("turn ", turn))
				chat.ConversationKey = fmt.Sprint(c)
				if _, err := client.Enqueue(context.Background(), chat, tasks.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		}
		knowRate(b, rdb, url)
		transport := coze.NewTransport(concurrency)
		w, err := worker.New(worker.Config{
			Redis:       rdb,
			Coze:        &coze.Client{BaseURL: url, Auth: coze.StaticToken("token"), HTTP: &http.Client{Transport: transport}},
			Concurrency: concurrency,
			Logger:      slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- w.Run(ctx) }()
		waitProcessed(b, rdb, conversations*turns)
		took := time.Since(start)
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		transport.CloseIdleConnections()
		ideal := latency * conversations * turns / concurrency
		b.ReportMetric(took.Seconds()/ideal.Seconds(), "x-ideal")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFar compares the tasks a second that this worker and a plain asynq server
// get out of a Redis that is 2.5 ms away, with answers that take no time.
func BenchmarkFar(b *testing.B) {
	const round = 1000
	server := redistest.Start(b)
	far := server.Delay(2500 * time.Microsecond).Client()
	url := startMock(b, 1)
	speed := func(enqueue, work func()) float64 {
		enqueue()
		start := time.Now()
		work()
		return round / time.Since(start).Seconds()
	}
	for b.Loop() {
		plain := speed(func() { enqueuePlain(b, server.Client(), round) }, func() { runPlain(b, far, url, round) })
		ours := speed(func() { enqueueChats(b, server.Client(), round) }, func() { runWorker(b, far, url, round) })
		b.ReportMetric(plain, "plain-tasks/s")
		b.ReportMetric(ours, "cozeq-tasks/s")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPickup measures how long an idle worker takes to begin a task that was
// just enqueued.
func BenchmarkPickup(b *testing.B) {
	rdb := redistest.Start(b).Client()
	url := startMock(b, 1)
	knowRate(b, rdb, url)
	store := results.NewStore(rdb)
	defer store.Close()
	client := tasks.NewClient(store)
	transport := coze.NewTransport(64)
	defer transport.CloseIdleConnections()
	w, err := worker.New(worker.Config{
		Redis:  rdb,
		Coze:   &coze.Client{BaseURL: url, Auth: coze.StaticToken("token"), HTTP: &http.Client{Transport: transport}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var took []time.Duration
	for b.Loop() {
		id, err := client.Enqueue(ctx, tasks.Ask("bot", "?"), tasks.Options{})
		if err != nil {
			b.Fatal(err)
		}
		r, err := store.Wait(ctx, id)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, r.StartedAt.Sub(r.CreatedAt.Time))
		time.Sleep(10 * time.Millisecond) // idle again, at no fixed phase of its looks
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}
