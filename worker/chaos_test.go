package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestChaos asks questions of several tenants, half of them in conversations of five turns, while
// streams are cut, worker processes are killed and Redis is restarted twice. Then
// every question has its one answer, Coze accepted each once, and each
// conversation was held in order.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	chaos(t, 100)
}

// TestSoakChaos is TestChaos at five times the size.
func TestSoakChaos(t *testing.T) {
	if os.Getenv("COZEQ_SOAK") == "" {
		t.Skip("make soak runs it")
	}
	chaos(t, 500)
}

func chaos(t *testing.T, questions int) {
	const turns, workers = 5, 3
	server := redistest.Start(t, redistest.AppendOnly("always"))
	fake := cozetest.New(t, cozetest.With(cozetest.Config{
		Latency:   200 * time.Millisecond,
		DeltaPace: 40 * time.Millisecond,
		Seed:      rand.Uint64(),
		Answer:    answerTo,
		Rules: cozetest.Script{
			{Percent: 8, Fault: cozetest.Fault{Kind: cozetest.Cut, After: 1}},
			{Percent: 8, Fault: cozetest.Fault{Kind: cozetest.Cut, After: 4, Reset: true}},
			{Percent: 8, Fault: cozetest.Fault{Kind: cozetest.Cut, After: 7, MidJSON: true, Behind: time.Second}},
			{Percent: 4, Fault: cozetest.Fault{Kind: cozetest.Hangup, Created: true}},
			{Percent: 4, Times: 1, Fault: cozetest.Fault{Kind: cozetest.Hangup}},
			{Percent: 4, Fault: cozetest.Fault{Kind: cozetest.Stall, After: 3}},
			{Percent: 4, Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4013}},
			{Percent: 4, Times: 1, Fault: cozetest.Fault{Kind: cozetest.Gateway, Status: 502}},
		},
	}))
	store := results.NewStore(server.Client())
	t.Cleanup(func() { store.Close() })
	client := tasks.NewClient(store)

	asked := make(map[string]string, questions) // question by id
	order := make(map[string][]string)          // questions by conversation key
	for i := range questions {
		chat := tasks.Ask("bot", fmt.Sprint("question ", i))
		chat.Tenant = []string{"", "big", "big", "big", "small"}[i%5]
		if i%2 == 0 {
			chat.ConversationKey = fmt.Sprint("conversation ", (i/2)%(questions/2/turns))
			order[chat.ConversationKey] = append(order[chat.ConversationKey], chat.AdditionalMessages[0].Content)
		}
		id, err := client.Enqueue(t.Context(), chat, tasks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		asked[id] = chat.AdditionalMessages[0].Content
	}

	ctx, stop := context.WithCancel(t.Context())
	var monkeys sync.WaitGroup
	for range workers {
		monkeys.Go(func() {
			for ctx.Err() == nil {
				life := time.Duration(1+rand.IntN(6)) * time.Second
				if !runProcess(ctx, t, server.URL(), fake.URL, life) {
					return
				}
			}
		})
	}
	monkeys.Go(func() {
		for range 2 {
			if !sleep(ctx, time.Duration(3+rand.IntN(4))*time.Second) {
				return
			}
			server.Restart()
		}
	})

	waitCtx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	conversations := make(map[string]string)
	ended := 0
	for ended < questions {
		// A waiter of its own would be cut off with Redis too; it must not mind.
		for r, err := range store.WaitAll(waitCtx, keys(asked)) {
			if waitCtx.Err() != nil {
				t.Fatalf("%d of %d ended within 6 min", ended, questions)
			}
			if err != nil {
				t.Logf("waiter: %v", err)
				break
			}
			question, ok := asked[r.ID]
			if !ok {
				t.Errorf("%s ended twice", r.ID)
			}
			delete(asked, r.ID)
			ended++
			if r.Status != results.Completed || r.Answer != answerTo(question) || r.PossibleDuplicate {
				t.Errorf("%s: %+v %+v", question, r, r.Error)
			}
			if r.ConversationKey != "" {
				conversations[r.ConversationKey] = r.ConversationID
			}
		}
	}
	stop()
	monkeys.Wait()

	if n := fake.Accepted(); n != questions {
		t.Errorf("Coze accepted %d chats for %d questions", n, questions)
	}
	for key, want := range order {
		id := conversations[key]
		if got := fake.Order(id); !slices.Equal(got, want) {
			t.Errorf("%s: order %q, want %q", key, got, want)
		}
		if n := fake.MaxRunning(id); n != 1 {
			t.Errorf("%s: %d chats at a time", key, n)
		}
	}
}

func answerTo(question string) string { return "the answer to " + question + " 是的" }

func keys(m map[string]string) func(yield func(string) bool) {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	return slices.Values(ids)
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// runProcess runs a worker process and kills it with SIGKILL after its life.
func runProcess(ctx context.Context, t *testing.T, redisURL, cozeURL string, life time.Duration) bool {
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), envWorker+"="+redisURL, envCoze+"="+cozeURL)
	var stderr bytes.Buffer
	process.Stderr = &stderr
	stdin, err := process.StdinPipe()
	if err != nil {
		t.Error(err)
		return false
	}
	defer stdin.Close()
	if err := process.Start(); err != nil {
		t.Error(err)
		return false
	}
	gone := make(chan error, 1)
	go func() { gone <- process.Wait() }()
	select {
	case err := <-gone:
		t.Errorf("a worker ended by itself: %v\n%s", err, stderr.String())
		return false
	case <-ctx.Done():
	case <-time.After(life):
	}
	if err := process.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-gone
	if strings.Contains(stderr.String(), "panic") {
		t.Errorf("a worker panicked:\n%s", stderr.String())
	}
	return true
}
