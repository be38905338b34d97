package tasks_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // tests that look at no log do not fill it
	goleak.VerifyTestMain(m)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file that others may rely on.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\ngot  %s\nwant %s", path, got, want)
	}
}

// line is a Redis with a client, and a view of what is in it.
type line struct {
	t         testing.TB
	rdb       redis.UniversalClient
	store     *results.Store
	client    *tasks.Client
	lanes     *tasks.Lanes
	inspector *asynq.Inspector
}

func newLine(t testing.TB, rdb redis.UniversalClient) *line {
	store := results.NewStore(rdb)
	return &line{t, rdb, store, tasks.NewClient(rdb, store), tasks.NewLanes(rdb), asynq.NewInspectorFromRedisClient(rdb)}
}

// each runs f on the embedded Redis and on a real one.
func each(t *testing.T, f func(t *testing.T, l *line)) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) { f(t, newLine(t, rdb)) })
}

// turn is one of a conversation, or stands alone where the key is empty.
func turn(key string) *tasks.Chat {
	chat := tasks.Ask("bot", "why?")
	chat.ConversationKey = key
	return chat
}

const laneTalk = "key:bot:talk"

func place(id string) tasks.Place {
	return tasks.Place{Lane: laneTalk, Queue: tasks.QueueDefault, ID: id}
}

func (l *line) enqueue(chat *tasks.Chat, id string) {
	l.t.Helper()
	got, err := l.client.Enqueue(l.t.Context(), chat, tasks.Options{ID: id})
	if err != nil || got != id {
		l.t.Fatalf("enqueue %s: %q, %v", id, got, err)
	}
}

// state is where asynq has a task: "far" for one that waits for its turn, "none".
func (l *line) state(id string) string {
	l.t.Helper()
	info, err := l.inspector.GetTaskInfo(tasks.QueueDefault, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return "none"
	case err != nil:
		l.t.Fatal(err)
	case time.Until(info.NextProcessAt) > 365*24*time.Hour:
		return "far"
	}
	return info.State.String()
}

func (l *line) states(want ...string) {
	l.t.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := l.state(want[i]); got != want[i+1] {
			l.t.Errorf("%s is %s, want %s", want[i], got, want[i+1])
		}
	}
}

// members are the tasks of the test's lane in their order.
func (l *line) members(want ...string) {
	l.t.Helper()
	got, err := l.rdb.ZRange(l.t.Context(), "cozeq:lane:{"+laneTalk+"}", 0, -1).Result()
	if err != nil {
		l.t.Fatal(err)
	}
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], tasks.QueueDefault+"/")
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("lane %q, want %q", got, want)
	}
}

// age makes the sweep look at all lanes now, as if all members had joined a minute
// before they did.
func age(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	ageRegistry(t, rdb)
	script := redis.NewScript(`
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -60000000, member) end
return 0`)
	for _, key := range redistest.Keys(t, rdb, "cozeq:lane:*") {
		if err := script.Run(context.Background(), rdb, []string{key}).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// ageRegistry makes the sweep look at all lanes now.
func ageRegistry(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	err := redis.NewScript(`
for _, lane in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -60, lane) end
return 0`).Run(context.Background(), rdb, []string{"cozeq:lanes"}).Err()
	if err != nil {
		t.Fatal(err)
	}
}

// anyKey leads a cluster's client to the node that has the default queue.
var anyKey = []string{"asynq:{default}:pending"}

// What asynq's server does to a task of the default queue, in one step each as
// there (asynq v0.26, internal/rdb).
var (
	takeScript = redis.NewScript(`
local id = redis.call('RPOPLPUSH', 'asynq:{default}:pending', 'asynq:{default}:active')
if not id then return '' end
redis.call('HSET', 'asynq:{default}:t:' .. id, 'state', 'active')
redis.call('ZADD', 'asynq:{default}:lease', 9999999999, id)
return id`)

	// leaveScript takes the state and the score of the set of that name, or the
	// state "" for a task that is to be forgotten.
	leaveScript = redis.NewScript(`
if redis.call('LREM', 'asynq:{default}:active', 0, ARGV[1]) == 0 then return 0 end
redis.call('ZREM', 'asynq:{default}:lease', ARGV[1])
local task = 'asynq:{default}:t:' .. ARGV[1]
if ARGV[2] == '' then return redis.call('DEL', task) end
redis.call('HSET', task, 'state', ARGV[2])
if ARGV[2] == 'pending' then return redis.call('RPUSH', 'asynq:{default}:pending', ARGV[1]) end
return redis.call('ZADD', 'asynq:{default}:' .. ARGV[2], ARGV[3], ARGV[1])`)
)

// take begins the next pending task.
func (l *line) take(want string) {
	l.t.Helper()
	if id, err := takeScript.Run(l.t.Context(), l.rdb, anyKey).Text(); err != nil || id != want {
		l.t.Fatalf("the queue gave %q, %v; want %s", id, err, want)
	}
}

// leave ends an active task as asynq does, or puts it into the retry set.
func (l *line) leave(id, state string, at time.Time) {
	l.t.Helper()
	if err := leaveScript.Run(l.t.Context(), l.rdb, anyKey, id, state, at.Unix()).Err(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) begin(id string) *results.Attempt {
	l.t.Helper()
	a, err := l.store.Begin(l.t.Context(), results.Result{ID: id}, false)
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

// answer ends a task's record as completed.
func (l *line) answer(id string) {
	l.t.Helper()
	a := l.begin(id)
	a.Result.Status = results.Completed
	if err := a.Finish(l.t.Context(), false); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) status(id string) results.Status {
	l.t.Helper()
	r, err := l.store.Get(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return r.Status
}

func (l *line) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

var noTime time.Time
