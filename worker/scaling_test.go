package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// envScaling set to anything makes TestScaling measure.
const envScaling = "COZEQ_SCALING"

// scalingDeltas are the pieces of an answer, of some 57 bytes each: 1.1 KiB, some 400 characters.
const scalingDeltas = 20

// TestScaling measures what a task, a chat in flight, an idle worker and a question that waits for its permit cost
// Redis: the numbers of docs/scaling.md. It takes some four minutes, no part of it more than one, and prints tables.
func TestScaling(t *testing.T) {
	if os.Getenv(envScaling) == "" {
		t.Skip("make scaling runs it")
	}
	logging.Disable() // of servers that are not up yet
	t.Run("task", func(t *testing.T) {
		fmt.Println("\n| a task on | Redis, enqueued | Redis, worked off | commands | worker's CPU | bytes queued | bytes done | of these asynq's |")
		fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
		persistent, compact := redistest.AppendOnly("everysec"), redistest.Config("hash-max-listpack-value", "4096")
		t.Run("one Redis as it comes", func(t *testing.T) {
			s := redistest.Start(t, persistent)
			taskCost(t, "one Redis as it comes", s.Client(), []*redistest.Server{s}, "default")
		})
		t.Run("one Redis", func(t *testing.T) {
			s := redistest.Start(t, persistent, compact)
			taskCost(t, "one Redis", s.Client(), []*redistest.Server{s}, "default")
		})
		t.Run("a cluster of three", func(t *testing.T) {
			c := redistest.StartCluster(t, persistent, compact)
			taskCost(t, "a cluster of three, `default/12`", c.Client(), c.Servers(), "default/12")
		})
	})
	t.Run("spread", func(t *testing.T) { spread(t) })
	t.Run("in flight", func(t *testing.T) {
		fmt.Println("\n| chats in flight in one queue | Redis for each that ends |\n| --- | --- |")
		for _, n := range []int{0, 1_000, 3_000, 10_000, 30_000, 100_000} {
			t.Run(strconv.Itoa(n), func(t *testing.T) { endCost(t, n) })
		}
	})
	t.Run("a second", func(t *testing.T) {
		fmt.Println("\n| for a second | Redis | commands |\n| --- | --- | --- |")
		t.Run("of an idle worker, 3 queues", func(t *testing.T) { idleCost(t, worker.DefaultQueues()) })
		t.Run("of an idle worker, 16 queues", func(t *testing.T) {
			queues := map[string]int{}
			shards, err := tasks.Shards("default/16")
			if err != nil {
				t.Fatal(err)
			}
			for _, queue := range shards {
				queues[queue] = 1
			}
			idleCost(t, queues)
		})
		t.Run("of a chat in flight", func(t *testing.T) { openCost(t) })
		t.Run("of a question that waits for its permit", func(t *testing.T) { waitCost(t) })
	})
}

// load is what servers have done so far.
type load struct {
	cpu      time.Duration
	commands int64
	memory   int64
}

func loadOf(t testing.TB, servers []*redistest.Server) (sum load) {
	t.Helper()
	for _, s := range servers {
		info, err := s.Client().InfoMap(context.Background(), "cpu", "stats", "memory").Result()
		if err != nil {
			t.Fatal(err)
		}
		number := func(section, name string) float64 {
			f, err := strconv.ParseFloat(info[section][name], 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return f
		}
		sum.cpu += time.Duration((number("CPU", "used_cpu_sys") + number("CPU", "used_cpu_user")) * float64(time.Second))
		sum.commands += int64(number("Stats", "total_commands_processed"))
		sum.memory += int64(number("Memory", "used_memory"))
	}
	return sum
}

func (l load) since(before load) load {
	return load{l.cpu - before.cpu, l.commands - before.commands, l.memory - before.memory}
}

func micros(d time.Duration, n int) string {
	return fmt.Sprintf("%.0f µs", float64(d.Nanoseconds())/1000/float64(n))
}

// working is a worker in this process, on a Redis and a mock.
func working(t *testing.T, rdb redis.UniversalClient, url string, change func(*worker.Config)) (stop func()) {
	t.Helper()
	cfg := worker.Config{
		Redis:       rdb,
		Concurrency: 256,
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Drain:       -1,
	}
	change(&cfg)
	transport := coze.NewTransport(cfg.Concurrency)
	cfg.Coze = &coze.Client{BaseURL: url, Auth: coze.StaticToken("token"), HTTP: &http.Client{Transport: transport}}
	w, err := worker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
	}
}

// submit enqueues n questions of 200 characters.
func submit(t *testing.T, rdb redis.UniversalClient, queue string, n int) {
	t.Helper()
	store := results.NewStore(rdb)
	defer store.Close()
	client := tasks.NewClient(store)
	const chunk = 500
	for n > 0 {
		items := make([]tasks.Item, min(n, chunk))
		for i := range items {
			items[i] = tasks.Item{Chat: tasks.Ask("bot", strings.Repeat("问", 195)+fmt.Sprintf("%05d", n-i)), Options: tasks.Options{Queue: queue}}
		}
		for _, e := range client.EnqueueAll(t.Context(), items) {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
		}
		n -= len(items)
	}
}

// workedOff waits until the worker has ended n tasks of a queue.
func workedOff(t *testing.T, rdb redis.UniversalClient, queue string, n int) {
	t.Helper()
	shards, err := tasks.Shards(queue)
	if err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the queue to be worked off", func() bool {
		done := int64(0)
		for _, shard := range shards {
			done += rdb.ZCard(t.Context(), "asynq:{"+shard+"}:completed").Val()
		}
		return done >= int64(n)
	})
}

// taskCost is what a task takes from the first command to the last, with answers that take no time.
func taskCost(t *testing.T, on string, rdb redis.UniversalClient, servers []*redistest.Server, queue string) {
	const warm, n = 500, 4000
	url := startMock(t, scalingDeltas)
	knowRate(t, rdb, url)
	queues := map[string]int{}
	shards, err := tasks.Shards(queue)
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards {
		queues[shard] = 1
	}
	submit(t, rdb, queue, warm)
	stop := working(t, rdb, url, func(c *worker.Config) { c.Queues = queues })
	workedOff(t, rdb, queue, warm)
	stop()

	start := loadOf(t, servers)
	submit(t, rdb, queue, n)
	queued := loadOf(t, servers)
	own := cpu()
	stop = working(t, rdb, url, func(c *worker.Config) { c.Queues = queues })
	workedOff(t, rdb, queue, warm+n)
	own = cpu() - own
	done := loadOf(t, servers)
	stop()
	in, out := queued.since(start), done.since(queued)
	fmt.Printf("| %s | %s | %s | %.1f + %.1f | %s | %d | %d | %d |\n", on,
		micros(in.cpu, n), micros(out.cpu, n), float64(in.commands)/n, float64(out.commands)/n, micros(own, n),
		in.memory/n, done.since(start).memory/n, asynqShare(t, rdb, shards[0]))
}

// asynqShare is the mean size of asynq's copy of a task that is completed.
func asynqShare(t *testing.T, rdb redis.UniversalClient, queue string) int64 {
	t.Helper()
	ids, err := rdb.ZRange(t.Context(), "asynq:{"+queue+"}:completed", 0, 99).Result()
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, id := range ids {
		size, err := rdb.MemoryUsage(t.Context(), "asynq:{"+queue+"}:t:"+id).Result()
		if err != nil {
			t.Fatal(err)
		}
		sum += size
	}
	return sum / int64(len(ids))
}

// spread works off conversations in the twelve shards of a queue, on a cluster of three, by three workers, and shows
// what came to each master.
func spread(t *testing.T) {
	const talks, turns, queue = 1200, 4, "default/12"
	c := redistest.StartCluster(t, redistest.AppendOnly("everysec"))
	rdb := c.Client()
	url := startMock(t, scalingDeltas)
	knowRate(t, rdb, url)
	client := tasks.NewClient(results.NewStore(rdb))
	for turn := range turns {
		items := make([]tasks.Item, talks)
		for talk := range items {
			chat := tasks.Ask("bot", fmt.Sprint("turn ", turn))
			chat.ConversationKey = fmt.Sprint("talk ", talk)
			items[talk] = tasks.Item{Chat: chat, Options: tasks.Options{Queue: queue}}
		}
		for _, e := range client.EnqueueAll(t.Context(), items) {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
		}
	}
	shards, err := tasks.Shards(queue)
	if err != nil {
		t.Fatal(err)
	}
	queues := map[string]int{}
	for _, shard := range shards {
		queues[shard] = 1
	}
	before := map[*redistest.Server]load{}
	for _, s := range c.Servers() {
		before[s] = loadOf(t, []*redistest.Server{s})
	}
	start := time.Now()
	for range 3 {
		defer working(t, rdb, url, func(c *worker.Config) { c.Queues, c.Concurrency = queues, 64 })()
	}
	workedOff(t, rdb, queue, talks*turns)
	took := time.Since(start)
	fmt.Println("\n| master | shards | turns | Redis |\n| --- | --- | --- | --- |")
	for i, s := range c.Servers() {
		own, done := 0, int64(0)
		for _, shard := range shards {
			if c.Owner("asynq:{"+shard+"}:completed") == s {
				own++
				done += rdb.ZCard(t.Context(), "asynq:{"+shard+"}:completed").Val()
			}
		}
		l := loadOf(t, []*redistest.Server{s}).since(before[s])
		fmt.Printf("| %d | %d | %d | %.0f %% of a core |\n", i+1, own, done, 100*l.cpu.Seconds()/took.Seconds())
	}
	fmt.Printf("%d turns of %d conversations in %.1f s\n", talks*turns, talks, took.Seconds())
}

// endCost is what ending a task takes while others of its queue are in flight: asynq looks through the list of them.
// These are there in Redis only, as a worker leaves them that has taken them; their beats are not in the number.
func endCost(t *testing.T, inFlight int) {
	const n = 1000
	s := redistest.Start(t)
	rdb := s.Client()
	url := startMock(t, 1)
	knowRate(t, rdb, url)
	ballast := redis.NewScript(`
for i = 1, ARGV[1] do
	local id = ARGV[2] .. i
	redis.call('HSET', 'asynq:{default}:t:' .. id, 'msg', ARGV[3], 'state', 'active')
	redis.call('LPUSH', 'asynq:{default}:active', id)
	redis.call('ZADD', 'asynq:{default}:lease', 9999999999, id)
end
return 0`)
	for done := 0; done < inFlight; done += 1000 {
		// As long as a real one, so that a comparison takes as long.
		prefix := fmt.Sprintf("01a20b64-caec-702c-9cd9-%05d-", done/1000)
		if err := ballast.Run(t.Context(), rdb, nil, 1000, prefix, "x").Err(); err != nil {
			t.Fatal(err)
		}
	}
	submit(t, rdb, tasks.QueueDefault, n+100)
	stop := working(t, rdb, url, func(c *worker.Config) { c.Concurrency = 64 })
	workedOff(t, rdb, tasks.QueueDefault, 100)
	before, already := loadOf(t, []*redistest.Server{s}), rdb.ZCard(t.Context(), "asynq:{default}:completed").Val()
	workedOff(t, rdb, tasks.QueueDefault, n+100)
	after := loadOf(t, []*redistest.Server{s})
	stop()
	fmt.Printf("| %d | %s |\n", inFlight, micros(after.since(before).cpu, n+100-int(already)))
}

// during prints what a while costs Redis, by the second and the one of n.
func during(t *testing.T, s *redistest.Server, d time.Duration, n int) {
	t.Helper()
	before := loadOf(t, []*redistest.Server{s})
	time.Sleep(d)
	l := loadOf(t, []*redistest.Server{s}).since(before)
	fmt.Printf("| %s | %.1f µs | %.1f |\n", strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "_", " "),
		float64(l.cpu.Nanoseconds())/1000/d.Seconds()/float64(n), float64(l.commands)/d.Seconds()/float64(n))
}

func idleCost(t *testing.T, queues map[string]int) {
	s := redistest.Start(t)
	stop := working(t, s.Client(), startMock(t, 1), func(c *worker.Config) { c.Queues = queues })
	defer stop()
	time.Sleep(2 * time.Second)
	during(t, s, 15*time.Second, 1)
}

// openCost is what the worker's beat takes for each chat: asynq writes all of them, payload and all, every 5 s.
func openCost(t *testing.T) {
	const streams = 2000
	s := redistest.Start(t)
	url := startMock(t, 300, envPace+"=200ms") // a minute
	knowRate(t, s.Client(), url)
	submit(t, s.Client(), tasks.QueueDefault, streams)
	stop := working(t, s.Client(), url, func(c *worker.Config) { c.Concurrency = streams })
	defer stop()
	awaittest.Until(t, "all chats", func() bool { return s.Client().LLen(t.Context(), "asynq:{default}:active").Val() == streams })
	time.Sleep(7 * time.Second) // all are asked, and one beat
	during(t, s, 20*time.Second, streams)
}

// waitCost is what a question takes that has to wait for the account's limit, all slots full of such.
func waitCost(t *testing.T) {
	const waiting = 1000
	s := redistest.Start(t)
	url := startMock(t, 1)
	submit(t, s.Client(), tasks.QueueDefault, 3*waiting)
	stop := working(t, s.Client(), url, func(c *worker.Config) { c.Concurrency, c.Rate = waiting, 50 })
	defer stop()
	awaittest.Until(t, "all slots to be full", func() bool { return s.Client().LLen(t.Context(), "asynq:{default}:active").Val() == waiting })
	time.Sleep(5 * time.Second)
	during(t, s, 15*time.Second, waiting)
}
