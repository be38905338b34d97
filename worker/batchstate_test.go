package worker_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
	"github.com/cozeq/cozeq/worker"
)

// submit makes a detached batch of these questions.
func (l *line) submit(id string, questions ...string) *batches.Client {
	l.t.Helper()
	bs := batches.New(l.tasks)
	if _, _, err := bs.Create(l.t.Context(), batches.Spec{ID: id, Rows: len(questions), BotID: "bot", Attempts: 2}); err != nil {
		l.t.Fatal(err)
	}
	var rows []batches.Row
	for i, q := range questions {
		rows = append(rows, batches.Row{N: i + 1, CustomID: fmt.Sprint("row ", i+1), Chat: tasks.Ask("bot", q)})
	}
	if err := bs.Add(l.t.Context(), id, rows); err != nil {
		l.t.Fatal(err)
	}
	if err := bs.Submitted(l.t.Context(), id); err != nil {
		l.t.Fatal(err)
	}
	return bs
}

// over waits for the end of a batch.
func (l *line) over(bs *batches.Client, id string) (b *batches.Status) {
	l.t.Helper()
	awaittest.Until(l.t, "the end of batch "+id, func() (ended bool) {
		var err error
		if b, err = bs.Get(l.t.Context(), id); err != nil {
			l.t.Fatal(err)
		}
		if sum := b.Counts.Completed + b.Counts.Failed + b.Counts.Canceled + b.Counts.Expired + b.Counts.Open(); sum != b.Counts.Total {
			l.t.Fatalf("the counts do not add up: %+v", b.Counts)
		}
		return !b.EndedAt.IsZero()
	})
	return b
}

// A batch knows what becomes of its rows, and leaves nothing in asynq.
func TestBatch(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb, cozetest.With(cozetest.Config{Rules: cozetest.Script{
			{Contains: "bad", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4000}},
			{Contains: "twice", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Fail, Code: 5000}},
		}}))
		bs := l.submit("b", "one", "bad", "twice", "three")
		stop := l.work()
		b := l.over(bs, "b")
		if b.Counts != (batches.Counts{Total: 4, Completed: 3, Failed: 1}) || len(b.Failures) != 1 || b.Failures[0].Code != 4000 || b.Failures[0].Class == "" {
			t.Errorf("%+v", b)
		}
		var tokens int64
		for row := 1; row <= 4; row++ {
			r, err := l.store.Get(t.Context(), batches.TaskID("b", row, 1))
			if err != nil {
				t.Fatal(err)
			}
			if r.BatchID != "b" || r.BotID != "" || r.Queue != "" || r.CompletedAt.IsZero() {
				t.Errorf("row %d: %+v", row, r)
			}
			tokens += r.Billed().TokenCount
		}
		if tokens == 0 || b.Tokens.TokenCount != tokens {
			t.Errorf("%d tokens, the records have %d", b.Tokens.TokenCount, tokens)
		}
		if n, err := bs.Retry(t.Context(), "b", batches.RetryOptions{Want: func(_ int, r *results.Result) bool { return r.Error.Code == 4000 }}); n != 1 || err != nil {
			t.Errorf("retry: %d, %v", n, err)
		}
		if b = l.over(bs, "b"); b.Counts != (batches.Counts{Total: 4, Completed: 3, Failed: 1}) {
			t.Errorf("%+v", b)
		}
		stop()
		if left := redistest.Keys(t, rdb, "asynq:{default}:t:*"); len(left) > 0 {
			t.Errorf("left in the queue: %q", left)
		}
	})
}

// A worker died after it had ended a record and before it told the batch. Another one
// gets the task and does it.
func TestBatchHearsOfTheEndFromTheNextWorker(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		bs := l.submit("b", "one", "two", "three")
		for row, how := range []results.Status{results.Completed, results.Failed} {
			a, err := record.New(l.store).Begin(t.Context(), results.Result{ID: batches.TaskID("b", row+1, 1)}, false)
			if err != nil {
				t.Fatal(err)
			}
			a.Result.Status, a.Result.Usage = how, &results.Usage{TokenCount: 7}
			if how == results.Failed {
				a.Result.Error = &results.Failure{Class: "permanent", Code: 4000}
			}
			if err := a.Finish(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		l.work()
		b := l.over(bs, "b")
		if b.Counts != (batches.Counts{Total: 3, Completed: 2, Failed: 1}) || len(b.Failures) != 1 || b.Tokens.TokenCount < 14 {
			t.Errorf("%+v", b)
		}
		if l.fake.ByQuestion("one")+l.fake.ByQuestion("two") > 0 {
			t.Error("what had ended was asked again")
		}
		awaittest.Until(t, "the queue to be empty", func() bool { return len(redistest.Keys(t, l.rdb, "asynq:{default}:t:*")) == 0 })
	})
}

// A run has taken an answer out of Redis; the worker that gave it died before it could
// tell asynq. The task comes back, and is not asked again.
func TestReleasedTaskComesBack(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		bs := runbatch.New(l.tasks)
		if err := bs.Register(t.Context(), batches.Spec{ID: "r", Rows: 2}, nil); err != nil {
			t.Fatal(err)
		}
		chat := tasks.Ask("bot", "one")
		chat.BatchID, chat.ConversationKey = "r", "talk"
		l.enqueue(chat, tasks.Options{ID: "r-1", Retention: -1})
		if err := bs.Release(t.Context(), []*results.Result{{ID: "r-1", BatchID: "r", Status: results.Completed}}); err != nil {
			t.Fatal(err)
		}
		second := tasks.Ask("bot", "two")
		second.BatchID, second.ConversationKey = "r", "talk"
		l.enqueue(second, tasks.Options{ID: "r-2", Retention: -1})
		l.work()
		if r := l.wait("r-2"); r.Status != results.Completed {
			t.Errorf("%+v", r)
		}
		l.over(bs.Client, "r")
		if n := l.fake.ByQuestion("one"); n != 0 {
			t.Errorf("asked %d times", n)
		}
		if left := redistest.Keys(t, l.rdb, "cozeq:result:{r-1}"); len(left) > 0 {
			t.Error("its record was made again and left")
		}
	})
}

// TestZombie: a worker stands still in the middle of a chat. Another one ends the task, and
// the run takes the answer out of Redis, and with it the owner that would fence the first
// one. That one goes on: it must not end the task a second time.
func TestZombie(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		bs := runbatch.New(l.tasks)
		if err := bs.Register(t.Context(), batches.Spec{ID: "r", Rows: 2}, nil); err != nil {
			t.Fatal(err)
		}
		messages := l.rdb.Subscribe(t.Context(), results.Channel("r-1"), results.Channel("r-2"))
		defer messages.Close()
		for range 2 {
			if _, err := messages.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		dropped := make(chan string, 10)
		l.work(func(c *worker.Config) {
			c.OnVerdict = func(id string, v worker.Verdict) {
				if v.Action == worker.Drop {
					dropped <- id
				}
			}
		})
		chat := tasks.Ask("bot", "one")
		chat.BatchID = "r"
		l.enqueue(chat, tasks.Options{ID: "r-1", Retention: -1})
		awaittest.Until(t, "the chat", func() bool { return l.fake.Running() == 1 })
		// The run has what the second worker wrote. Release marks the row before it deletes the record: a note of the first
		// worker that finds no record asks the batch.
		if err := bs.Release(t.Context(), []*results.Result{{ID: "r-1", BatchID: "r", Status: results.Completed}}); err != nil {
			t.Fatal(err)
		}
		awaittest.Until(t, "the end of the first worker's attempt", func() bool {
			return len(dropped) == 1 || len(redistest.Keys(t, l.rdb, "cozeq:result:{r-1}")) > 0
		})
		if left := redistest.Keys(t, l.rdb, "cozeq:result:{r-1}"); len(left) > 0 {
			t.Error("the record of a row that was collected is back")
		}
		// Another row's message comes behind whatever was sent for the first.
		chat = tasks.Ask("bot", "two")
		chat.BatchID = "r"
		l.enqueue(chat, tasks.Options{ID: "r-2", Retention: -1})
		m, err := messages.ReceiveMessage(t.Context())
		if err != nil || m.Channel != results.Channel("r-2") {
			t.Errorf("a message on %s, %v", m.Channel, err)
		}
	}, cozetest.With(cozetest.Config{Latency: 500 * time.Millisecond}))
}

// A worker that comes upon such a task may die, or shut down, when it has made the record
// and has not yet found out. The next one knows that the record was made.
func TestReleasedTaskComesBackTwice(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		bs := runbatch.New(l.tasks)
		if err := bs.Register(t.Context(), batches.Spec{ID: "r", Rows: 1}, nil); err != nil {
			t.Fatal(err)
		}
		chat := tasks.Ask("bot", "one")
		chat.BatchID = "r"
		l.enqueue(chat, tasks.Options{ID: "r-1", Retention: -1})
		if err := bs.Release(t.Context(), []*results.Result{{ID: "r-1", BatchID: "r", Status: results.Completed}}); err != nil {
			t.Fatal(err)
		}
		if _, err := record.New(l.store).Begin(t.Context(), chat.Record("r-1", tasks.QueueDefault), false); err != nil {
			t.Fatal(err)
		}
		l.work()
		awaittest.Until(l.t, "the end of the task", func() bool {
			info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetQueueInfo(tasks.QueueDefault)
			if err != nil {
				t.Fatal(err)
			}
			return info.Size == 0
		})
		if n := l.fake.ByQuestion("one"); n != 0 {
			t.Errorf("asked %d times", n)
		}
		if left := redistest.Keys(t, l.rdb, "cozeq:result:{r-1}"); len(left) > 0 {
			t.Error("its record was left")
		}
	})
}

// What a chat without an answer has cost is billed, too.
func TestBatchCountsWhatWasBilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s: an answer is looked for in vain")
	}
	t.Parallel()
	var asked atomic.Int32
	l := newLine(t, redistest.Embedded(t), cozetest.With(cozetest.Config{Answer: func(string) string {
		if asked.Add(1) == 1 {
			return ""
		}
		return "an answer"
	}}))
	bs := l.submit("b", strings.Repeat("why? ", 20))
	l.work(func(c *worker.Config) { c.Drain = time.Second })
	b := l.over(bs, "b")
	r, err := l.store.Get(t.Context(), "b-1")
	if err != nil || r.Status != results.Completed || r.Attempts != 2 || r.Spent.TokenCount == 0 || r.Usage == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if want := r.Spent.TokenCount + r.Usage.TokenCount; b.Tokens.TokenCount != want {
		t.Errorf("%d tokens, want %d", b.Tokens.TokenCount, want)
	}
}
