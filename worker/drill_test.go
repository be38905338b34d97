package worker_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// soakTime is how long each TestSoak test goes on.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(os.Getenv("COZEQ_SOAK"))
	if err != nil {
		t.Skip("make soak runs it")
	}
	return d
}

// drill counts what questions cost that were asked while something died, and whether their records say so.
type drill struct {
	*line
	ids map[string]string // question by task
}

// newDrill has the limiter know already that Coze takes a thousand questions a second.
func newDrill(l *line) *drill {
	l.t.Helper()
	client := &coze.Client{Auth: coze.StaticToken("token")}
	credential, err := client.Identity(l.t.Context())
	if err == nil {
		err = l.rdb.HSet(l.t.Context(), "cozeq:limit:{"+credential+"}", "rate", 1000).Err()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return &drill{line: l, ids: make(map[string]string)}
}

func (d *drill) enqueue(n int, question func(i int) string) {
	d.t.Helper()
	items := make([]tasks.Item, n)
	for i := range items {
		items[i].Chat = tasks.Ask("bot", question(i))
	}
	for i, e := range d.tasks.EnqueueAll(d.t.Context(), items) {
		if e.Err != nil {
			d.t.Fatal(e.Err)
		}
		d.ids[e.ID] = items[i].Chat.AdditionalMessages[0].Content
	}
}

// check waits for all answers. A question that Coze accepted twice must say so.
func (d *drill) check() (twice, marked int) {
	d.t.Helper()
	for id, question := range d.ids {
		r := d.wait(id)
		if r.Status != results.Completed {
			d.t.Errorf("%.40s: %+v %+v", question, r, r.Error)
		}
		n := d.fake.ByQuestion(question)
		if n > 1 {
			twice++
		}
		if r.PossibleDuplicate {
			marked++
		} else if n > 1 {
			d.t.Errorf("%.40s: asked %d times, and its record does not say so", question, n)
		}
	}
	return twice, marked
}

// TestStoppedWorker stops a worker's process in its opening burst for as long as another
// one needs to take its tasks over. When it goes on it has many questions that it was
// about to send.
func TestStoppedWorker(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s: a lease must run out")
	}
	t.Parallel()
	stopWorker(t, 60)
}

// TestSoakStopped is TestStoppedWorker at ten times the size, again and again.
func TestSoakStopped(t *testing.T) {
	for end := time.Now().Add(soakTime(t)); time.Now().Before(end) && !t.Failed(); {
		stopWorker(t, 600)
	}
}

func stopWorker(t *testing.T, questions int) {
	server := redistest.Start(t)
	d := newDrill(newLine(t, server.Client(), cozetest.With(cozetest.Config{Latency: 300 * time.Millisecond})))
	d.enqueue(questions, func(i int) string { return fmt.Sprint("question ", i) })
	concurrency := fmt.Sprint(envConcurrency, "=", questions/2)
	stopped := startWorker(t, server.URL(), d.fake.URL, concurrency, envDial+"=2s")
	awaittest.Until(t, "conversations", func() bool { return d.fake.Calls("/v1/conversation/create") >= questions*2/5 })
	time.Sleep(200*time.Millisecond + rand.N(1600*time.Millisecond)) // it connects in order to ask
	if err := stopped.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	other := startWorker(t, server.URL(), d.fake.URL, concurrency)
	time.Sleep(17*time.Second + rand.N(3*time.Second))
	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	twice, marked := d.check()
	t.Logf("of %d: %d asked twice, %d marked", len(d.ids), twice, marked)
	_ = stopped.Kill()
	_ = other.Kill()
}

// TestSoakFlush flushes Redis while workers hold chats, and enqueues all that was lost
// again, as a run does.
func TestSoakFlush(t *testing.T) {
	for end := time.Now().Add(soakTime(t)); time.Now().Before(end) && !t.Failed(); {
		flushRedis(t, 100)
	}
}

// TestFlushedRedis is TestSoakFlush, once.
func TestFlushedRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s")
	}
	t.Parallel()
	flushRedis(t, 30)
}

func flushRedis(t *testing.T, questions int) {
	server := redistest.Start(t)
	d := newDrill(newLine(t, server.Client(), cozetest.With(cozetest.Config{Latency: 4 * time.Second})))
	d.enqueue(questions, func(i int) string { return fmt.Sprint("question ", i) })
	w := startWorker(t, server.URL(), d.fake.URL, fmt.Sprint(envConcurrency, "=", questions/2))
	awaittest.Until(t, "chats", func() bool { return d.fake.Accepted() >= questions/2 })
	time.Sleep(rand.N(time.Second))
	if err := d.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // batch.reclaimAfter
	for id, question := range d.ids {
		_, err := d.tasks.Enqueue(t.Context(), tasks.Ask("bot", question), tasks.Options{ID: id, PossibleDuplicate: true})
		if err != nil && !errors.Is(err, tasks.ErrDuplicate) {
			t.Fatal(err)
		}
	}
	twice, marked := d.check()
	t.Logf("of %d: %d asked twice, %d marked", len(d.ids), twice, marked)
	_ = w.Kill()
}

// TestSoakCutFile cuts the end off Redis' append-only file, as a loss of power does where
// it is synced once a second, while workers hold chats.
func TestSoakCutFile(t *testing.T) {
	for end := time.Now().Add(soakTime(t)); time.Now().Before(end) && !t.Failed(); {
		cutFile(t, 300)
	}
}

// TestCutFile is TestSoakCutFile, once.
func TestCutFile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	t.Parallel()
	cutFile(t, 60)
}

func cutFile(t *testing.T, questions int) {
	server := redistest.Start(t, redistest.AppendOnly("everysec"))
	d := newDrill(newLine(t, server.Client(), cozetest.With(cozetest.Config{Latency: 2 * time.Second})))
	d.enqueue(questions, func(i int) string { return fmt.Sprint("question ", i) })
	for range 2 {
		startWorker(t, server.URL(), d.fake.URL, fmt.Sprint(envConcurrency, "=", questions/4))
	}
	awaittest.Until(t, "chats", func() bool { return d.fake.Accepted() > 0 })
	time.Sleep(time.Second + rand.N(2*time.Second))
	before := server.Appended()
	time.Sleep(time.Second)
	server.Kill()
	server.CutAppended(before)
	time.Sleep(2 * time.Second) // a machine takes longer than that to come back
	server.Restart()
	twice, marked := d.check()
	t.Logf("of %d: %d asked twice, %d marked", len(d.ids), twice, marked)
}
