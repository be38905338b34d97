package worker_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// startWorker runs a worker in a process of its own.
func startWorker(t *testing.T, redisURL, cozeURL string, env ...string) *os.Process {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(append(os.Environ(), envWorker+"="+redisURL, envCoze+"="+cozeURL), env...)
	process.Stderr = io.Discard
	stdin, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	return process.Process
}

// TestFrozenWorker stops a worker process in the middle of a chat, as a swapped-out
// or suspended machine does. Another one takes over; when the first goes on, there
// are two handlers for one task.
func TestFrozenWorker(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s: a lease must run out")
	}
	t.Parallel()
	server := redistest.Start(t)
	l := newLine(t, server.Client(), cozetest.With(cozetest.Config{Latency: 2 * time.Second}))
	frozen := startWorker(t, server.URL(), l.fake.URL)
	id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
	awaittest.Until(t, "the chat to be noted", func() bool {
		r, err := l.store.Get(t.Context(), id)
		return err == nil && r.ChatID != ""
	})
	if err := frozen.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	startWorker(t, server.URL(), l.fake.URL)
	r := l.wait(id)
	if r.Status != results.Completed || r.Attempts != 1 {
		t.Errorf("got %+v", r)
	}
	if err := frozen.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// What the first one thinks of its task must change nothing, and it is of use.
	var after []string
	for i := range 20 {
		after = append(after, l.enqueue(tasks.Ask("bot", fmt.Sprint("after ", i)), tasks.Options{}))
	}
	for _, id := range after {
		l.completed(id)
	}
	again, err := l.store.Get(t.Context(), id)
	if err != nil || again.CompletedAt != r.CompletedAt || again.Attempts != 1 {
		t.Errorf("the record has changed: %+v, %v", again, err)
	}
	if n := l.fake.Accepted(); n != 21 {
		t.Errorf("%d chats, want 21", n)
	}
}

// TestFrozenRedis stops Redis for so long that every lease is lost while its
// handler still reads.
func TestFrozenRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 45 s: a lease must run out")
	}
	t.Parallel()
	server := redistest.Start(t)
	l := newLine(t, server.Client(), cozetest.With(cozetest.Config{Latency: 36 * time.Second}))
	l.work()
	l.work()
	var ids []string
	for i := range 10 {
		ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{}))
	}
	awaittest.Until(t, "the chats", func() bool { return l.fake.Accepted() == 10 })
	server.Pause()
	time.Sleep(33 * time.Second) // asynq's lease, and a beat
	server.Resume()
	for _, id := range ids {
		if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 {
			t.Errorf("got %+v", r)
		}
	}
	if n := l.fake.Accepted(); n != 10 {
		t.Errorf("%d chats, want 10", n)
	}
}

// TestEndlessChat gives a chat that never ends a deadline.
func TestEndlessChat(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		chat := tasks.Ask("bot", "endless [[mock:endless=50ms times=1]]")
		chat.ConversationKey = "talk"
		id := l.enqueue(chat, tasks.Options{Timeout: 5 * time.Second})
		awaittest.Until(t, "the chat to be noted", func() bool {
			r, err := l.store.Get(t.Context(), id)
			return err == nil && r.ChatID != ""
		})
		first, err := l.store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		r := l.wait(id)
		if r.Status != results.Completed || r.Attempts != 2 {
			t.Errorf("got %+v", r)
		}
		if r.ConversationID == first.ConversationID {
			t.Error("the conversation of the endless chat was used again")
		}
		if n := l.fake.Calls("/v3/chat/cancel"); n != 1 {
			t.Errorf("canceled %d times at Coze, want once", n)
		}
	})
}

// TestConversationGone loses a named conversation between two of its turns.
func TestConversationGone(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		say := func(question string) *results.Result {
			chat := tasks.Ask("bot", question)
			chat.ConversationKey = "talk"
			return l.wait(l.enqueue(chat, tasks.Options{}))
		}
		first := say("first")
		second := say("second [[mock:expired times=1]]")
		if second.Status != results.Completed || second.Attempts != 1 || second.ConversationID == first.ConversationID {
			t.Errorf("got %+v", second)
		}
		if len(second.Warnings) != 1 || !strings.Contains(second.Warnings[0], first.ConversationID) {
			t.Errorf("warnings %q", second.Warnings)
		}
		third := say("third")
		if third.ConversationID != second.ConversationID || len(third.Warnings) != 0 {
			t.Errorf("got %+v", third)
		}
	})
}
