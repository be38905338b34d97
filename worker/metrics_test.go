package worker_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// collectors registers all that a worker's process shows of tasks.
func collectors(rdb redis.UniversalClient) (*prometheus.Registry, *worker.Metrics) {
	reg := prometheus.NewPedanticRegistry()
	metrics := worker.NewMetrics(reg)
	queues := []string{tasks.QueueCritical, tasks.QueueDefault}
	reg.MustRegister(worker.Collectors(rdb, queues)...)
	return reg, metrics
}

// TestMetrics counts what became of some questions.
func TestMetrics(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	l := newLine(t, rdb)
	reg, metrics := collectors(rdb)
	stop := l.work(func(c *worker.Config) { c.Metrics, c.Concurrency = metrics, 7 })
	var tokens float64
	for _, question := range []string{"one", "two", "again [[mock:code=5000 times=1]]", "cut [[mock:cut=5]]"} {
		tokens += float64(l.ask(question).Usage.OutputCount)
	}
	l.ask("refused [[mock:code=4000]]")
	stop()
	want := map[string]map[string]float64{
		"cozeq_tasks_total": {
			"class=,queue=default,status=completed":       4,
			"class=permanent,queue=default,status=failed": 1,
		},
		"cozeq_waits_total":                 {"class=transient,verdict=retry": 1},
		"cozeq_concurrency":                 {"": 7},
		"cozeq_chats_in_flight":             {"": 0},
		"cozeq_lookups_total":               {"": 1},
		"cozeq_pickup_seconds":              {"queue=default": 5}, // once a task, however many attempts it takes
		"cozeq_time_to_first_token_seconds": {"": 3},              // of streams that ended well
		"cozeq_chat_duration_seconds":       {"": 4},
	}
	for name, want := range want {
		if got := gathered(t, reg, name); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got := gathered(t, reg, "cozeq_tokens_total")["direction=output"]; got != tokens {
		t.Errorf("%v tokens of output, want %v", got, tokens)
	}
}

// bounded are the labels that there may be. None of them is a thing of which a user can
// make any number: a bot, a user, a conversation, a task, a code.
var bounded = []string{"queue", "state", "status", "class", "verdict", "direction", "credential", "scope", "node", "policy", "tool", "outcome"}

// TestMetricLabels has many bots, users and codes, and looks at what became a label.
func TestMetricLabels(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	l := newLine(t, rdb)
	reg, metrics := collectors(rdb)
	stop := l.work(func(c *worker.Config) { c.Metrics = metrics })
	var ids []string
	for i := range 20 {
		chat := tasks.Ask(fmt.Sprintf("bot-%d", i), fmt.Sprintf("one [[mock:code=%d]]", 799999000+i))
		chat.UserID, chat.BatchID, chat.ConversationKey = fmt.Sprintf("user-%d", i), fmt.Sprintf("batch-%d", i), fmt.Sprintf("talk-%d", i)
		ids = append(ids, l.enqueue(chat, tasks.Options{Attempts: 1}))
	}
	for _, id := range ids {
		l.wait(id)
	}
	// A record may say of its task what it likes: anybody may write it.
	id := l.enqueue(tasks.Ask("bot", "asked at once"), tasks.Options{Queue: tasks.QueueLow})
	l.wait(id)
	rdb.HSet(t.Context(), results.Key("foreign"), "id", "foreign", "status", "queued", "queue", "no-queue-of-ours")
	if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask(tasks.TypeChat, []byte(`{}`)),
		asynq.TaskID("foreign"), asynq.Queue(tasks.QueueLow), asynq.MaxRetry(2)); err != nil {
		t.Fatal(err)
	}
	l.wait("foreign")
	stop()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := len(f.GetMetric()); n > 30 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if !slices.Contains(bounded, label.GetName()) {
					t.Errorf("%s has the label %s", f.GetName(), label.GetName())
				}
				if v := label.GetValue(); strings.ContainsAny(v, "0123456789") && label.GetName() != "credential" && label.GetName() != "node" || v == "no-queue-of-ours" {
					t.Errorf("%s{%s=%q}", f.GetName(), label.GetName(), v)
				}
			}
		}
	}
}

// TestMetricNames holds names, help texts and types against the conventions of
// Prometheus.
func TestMetricNames(t *testing.T) {
	rdb := redistest.Start(t).Client()
	l := newLine(t, rdb)
	reg, metrics := collectors(rdb)
	stop := l.work(func(c *worker.Config) { c.Metrics = metrics })
	l.ask("one")
	stop()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestServerMetrics counts processes, not asynq's Servers, of which a worker has
// several.
func TestServerMetrics(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		reg, _ := collectors(l.rdb)
		check := func(want float64) {
			t.Helper()
			awaittest.Until(t, fmt.Sprintf("%v workers", want), func() bool {
				return gathered(t, reg, "cozeq_workers")[""] == want && gathered(t, reg, "cozeq_queue_workers")["queue=default"] == want
			})
			if got := gathered(t, reg, "cozeq_queue_workers"); got["queue=critical"] != 0 || len(got) < 2 {
				t.Errorf("nobody serves critical: %v", got)
			}
		}
		check(0)
		stop := l.work(func(c *worker.Config) { c.Concurrency, c.Queues = 64, map[string]int{tasks.QueueDefault: 1} })
		check(1)
		stop()
		check(0)
		// A queue that has tasks and no worker is told, though nobody named it.
		l.enqueue(tasks.Ask("bot", "one"), tasks.Options{Queue: tasks.QueueLow})
		if got, ok := gathered(t, reg, "cozeq_queue_workers")["queue=low"]; !ok || got != 0 {
			t.Errorf("low: %v, %v", got, ok)
		}
	})
}

// TestRedisMetrics mirrors what the server says, and leaves out what it does not.
func TestRedisMetrics(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Config("maxmemory", "100mb"), redistest.Config("maxmemory-policy", "allkeys-lru"))
	rdb := server.Client()
	reg, _ := collectors(rdb)
	node := "node=" + server.Addr()
	want := map[string]map[string]float64{
		"cozeq_redis_up":                 {"": 1},
		"cozeq_redis_memory_max_bytes":   {node: 100 << 20},
		"cozeq_redis_maxmemory_policy":   {node + ",policy=allkeys-lru": 1},
		"cozeq_redis_evicted_keys_total": {node: 0},
		"cozeq_redis_append_only":        {node: 0},
		"cozeq_redis_persistence_ok":     {node: 1},
	}
	for name, want := range want {
		if got := gathered(t, reg, name); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got := gathered(t, reg, "cozeq_redis_memory_used_bytes")[node]; got < 100_000 || got > 100<<20 {
		t.Errorf("%v bytes used", got)
	}

	// A user who may not ask.
	rdb.Do(t.Context(), "ACL", "SETUSER", "quiet", "on", "nopass", "~*", "&*", "+@all", "-info")
	quiet := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "quiet", Password: "any"})
	defer quiet.Close()
	reg, _ = collectors(quiet)
	if got := gathered(t, reg, "cozeq_redis_up"); got[""] != 1 {
		t.Errorf("up: %v", got)
	}
	if got := gathered(t, reg, "cozeq_redis_memory_used_bytes"); len(got) != 0 {
		t.Errorf("a user who may not ask was told: %v", got)
	}

	server.Kill()
	reg, _ = collectors(rdb)
	if got := gathered(t, reg, "cozeq_redis_up"); got[""] != 0 || len(got) != 1 {
		t.Errorf("up, when it is down: %v", got)
	}
}

// TestClusterMetrics tells of each master.
func TestClusterMetrics(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	t.Parallel()
	rdb := redistest.StartCluster(t).Client()
	reg, _ := collectors(rdb)
	if got := gathered(t, reg, "cozeq_redis_memory_used_bytes"); len(got) != 3 {
		t.Errorf("masters: %v, want 3", got)
	}
	if got := gathered(t, reg, "cozeq_redis_up"); got[""] != 1 {
		t.Errorf("up: %v", got)
	}
}

// TestPauseReasons tells why there is a pause, and how many wait for its end.
func TestPauseReasons(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	l := newLine(t, rdb, cozetest.WithRules(cozetest.Rule{Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4015}}))
	reg, metrics := collectors(rdb)
	l.work(func(c *worker.Config) { c.Metrics = metrics })
	for i := range 3 {
		l.enqueue(tasks.Ask(fmt.Sprintf("bot-%d", i), "one"), tasks.Options{})
	}
	awaittest.Until(t, "three bots to be paused", func() bool { return len(l.paused()) == 3 })
	pauses := gathered(t, reg, "cozeq_pauses")
	if len(pauses) != 1 {
		t.Fatalf("pauses %v, want one line for all bots of a reason", pauses)
	}
	for labels, n := range pauses {
		if n != 3 || !strings.Contains(labels, ",scope=bot") || !strings.HasPrefix(labels, "class="+l.paused()[0].Class+",") {
			t.Errorf("pauses %v", pauses)
		}
	}
	awaittest.Until(t, "all three to step aside", func() bool {
		for labels, n := range gathered(t, reg, "cozeq_tasks_aside") {
			if strings.Contains(labels, "scope=bot") && n == 3 {
				return true
			}
		}
		return false
	})
}
