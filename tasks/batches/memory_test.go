package batches_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// perQuestion is what a detached batch may take in Redis for each question, beyond its
// own text and answer.
const perQuestion = 1536

// TestBatchMemory measures 20,000 questions on a real Redis: queued, and all ended. The
// answers are two thirds of what is left then; what is asserted is the rest. The text of
// a question that has ended is there once, compressed, and not taken off.
func TestBatchMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("20,000 questions")
	}
	const n = 20_000
	words := strings.Fields(`what is the reason that people of the city who went to see the river in winter could not find any boat
		which would take them over before night fell and how did it come about that nobody had told them of the ice 一条 河流 的 冬天 没有 船`)
	l := tasktest.New(t, redistest.Start(t).Client())
	f := newFile(l, "0123456789")
	ctx := t.Context()
	room, err := f.Room(ctx)
	l.Must(err)
	before := room.Used
	f.create(n, func(b *batches.Spec) { b.BotID = "7342866812345678901" })
	size := batches.Size{Rows: n}
	for first := 1; first <= n; first += batches.ChunkRows {
		f.Must(f.Add(ctx, f.ID, rows(first, first+batches.ChunkRows-1, func(r *batches.Row) {
			var text strings.Builder
			for k := range 25 {
				fmt.Fprint(&text, words[(r.N*7+k*k*(r.N%89+1))%len(words)], " ")
			}
			r.Chat = tasks.Ask("7342866812345678901", text.String())
			size.Text += int64(text.Len())
			size.Columns += int64(len(r.CustomID) + len(r.Columns[0]))
		})))
	}
	beyond := func(what string, own int64) int64 {
		t.Helper()
		room, err := f.Room(ctx)
		l.Must(err)
		took := room.Used - before
		t.Logf("%s: %d bytes a question, of them %d its own", what, took/n, own/n)
		if each := (took - own) / n; each > perQuestion {
			t.Errorf("%s: %d bytes a question beyond its own, want at most %d", what, each, perQuestion)
		}
		return took
	}
	queued := beyond("queued", size.Text)

	// As a worker ends them: its commands gathered, asynq's part by a script.
	gathering, err := l.Redis.AsyncAutoPipeline()
	l.Must(err)
	store, tally := results.NewStore(gathering), tally.New(gathering)
	answer := strings.Repeat("an answer of ten words is shorter than it seems ", 6)
	failure := &results.Failure{
		Code: 4013, Class: "rate", LogID: "20261124015959ABCDEF0123456789ABCD", Hint: "wait, or raise the plan's limit",
		Message: "the number of requests per minute has been used up, and the last of the attempts with it",
	}
	var answers int64
	var workers sync.WaitGroup
	for w := range 64 {
		workers.Go(func() {
			for row := w + 1; row <= n; row += 64 {
				id := batches.TaskID(f.ID, row, 1)
				a, err := record.New(store).Begin(ctx, results.Result{ID: id}, false)
				if err == nil {
					err = a.Created(ctx, "7342866812345678901", "7342866812345678902")
				}
				if err != nil {
					t.Error(err)
					return
				}
				r := &a.Result
				r.Status, r.Answer, r.Attempts, r.BotID, r.UserID = results.Completed, answer, 1, "7342866812345678901", tasks.DefaultUserID
				r.Usage = &results.Usage{TokenCount: 1234, OutputCount: 1000, InputCount: 234}
				if row%10 == 0 {
					r.Status, r.Answer, r.Error = results.Failed, "", failure
				}
				if err := a.Finish(ctx, false); err != nil {
					t.Error(err)
				}
				if err := tally.MarkResult(ctx, r); err != nil {
					t.Error(err)
				}
				if err := gathering.Del(ctx, "asynq:{default}:t:"+id).Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	l.Must(l.Redis.Del(ctx, "asynq:{default}:pending").Err())
	answers = int64(len(answer)) * n * 9 / 10
	ended := beyond("ended", answers)
	if b := f.Read(); b.Counts.Completed != n*9/10 || b.Counts.Failed != n/10 || b.EndedAt.IsZero() {
		t.Errorf("%+v", b)
	}

	estimate := batches.Estimate(size)
	for what, of := range map[string][2]int64{
		"queued": {queued, estimate.Total()}, "ended": {ended - answers, estimate.Records + estimate.Rows},
	} {
		if took, told := of[0], of[1]; told < took || told > took*3/2 {
			t.Errorf("%s: estimated at %d bytes a question, it took %d", what, told/n, took/n)
		}
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t, redistest.Config("maxmemory", "64mb"), redistest.Config("maxmemory-policy", "allkeys-lru")).Client()
	f := newFile(tasktest.New(t, rdb), "b")
	room, err := f.Room(t.Context())
	if err != nil || room.Max != 64<<20 || room.Policy != "allkeys-lru" || room.Used < 100_000 || room.Nodes != 1 {
		t.Fatalf("%+v, %v", room, err)
	}
	if err := room.Hold(batches.Estimate(batches.Size{Rows: 10_000, Text: 1_000_000})); err != nil {
		t.Errorf("a small one: %v", err)
	}
	err = room.Hold(batches.Estimate(batches.Size{Rows: 1_000_000, Text: 100_000_000}))
	full, ok := errors.AsType[*batches.NoRoomError](err)
	if !ok || full.Max != 64<<20 || full.Free > 64<<20 || full.Need < 1<<30 {
		t.Errorf("a large one: %v", err)
	}
	if text := fmt.Sprint(err); !strings.Contains(text, "maxmemory of 64.0 MiB: raise maxmemory, or submit the file in parts") {
		t.Error(text)
	}
	if err := (batches.Room{Used: 1 << 40}).Hold(batches.Estimate(batches.Size{Rows: 1_000_000})); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	// The queue and the rows have to fit on one node.
	m := batches.Estimate(batches.Size{Rows: 100_000, Text: 10_000_000})
	if err := (batches.Room{Max: m.Total() * 3 / 2, Nodes: 3}).Hold(m); err == nil {
		t.Error("a cluster of which no node can hold the queue")
	}
	if err := (batches.Room{Max: m.Total() * 4, Nodes: 3}).Hold(m); err != nil {
		t.Error(err)
	}
}

func TestRoomOfNobody(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second})
	defer rdb.Close()
	if room, err := newFile(tasktest.New(t, rdb), "b").Room(t.Context()); err == nil {
		t.Errorf("got %+v", room)
	}
}
