// Package tasktest is for tests of what is around the queue: a Redis with a client, a view of
// what is in it, what asynq's server does to a task, and calls that fail.
package tasktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Line is a Redis with a client, and a view of what is in it.
type Line struct {
	T         testing.TB
	Redis     redis.UniversalClient
	Store     *results.Store
	Tasks     *tasks.Client
	Lanes     *lane.Lanes
	Inspector *asynq.Inspector
}

func New(t testing.TB, rdb redis.UniversalClient) *Line {
	store := results.NewStore(rdb)
	return &Line{t, rdb, store, tasks.NewClient(store), lane.New(rdb), asynq.NewInspectorFromRedisClient(rdb)}
}

// Each runs f on the embedded Redis and on a real one.
func Each(t *testing.T, f func(t *testing.T, l *Line)) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) { f(t, New(t, rdb)) })
}

// Turn is one of a conversation, or stands alone where the key is empty.
func Turn(key string) *tasks.Chat {
	chat := tasks.Ask("bot", "why?")
	chat.ConversationKey = key
	return chat
}

// Talk is the lane of Turn("talk").
const Talk = "key:bot:talk"

func Place(id string) lane.Place {
	return lane.Place{Lane: Talk, Queue: tasks.QueueDefault, ID: id}
}

func (l *Line) Enqueue(chat *tasks.Chat, id string) {
	l.T.Helper()
	got, err := l.Tasks.Enqueue(l.T.Context(), chat, tasks.Options{ID: id})
	if err != nil || got != id {
		l.T.Fatalf("enqueue %s: %q, %v", id, got, err)
	}
}

// State is where asynq has a task: "far" for one that waits for its turn, "none".
func (l *Line) State(id string) string {
	l.T.Helper()
	info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return "none"
	case err != nil:
		l.T.Fatal(err)
	case lane.Waits(time.Until(info.NextProcessAt)):
		return "far"
	}
	return info.State.String()
}

// States wants tasks, each followed by what State returns for it.
func (l *Line) States(want ...string) {
	l.T.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := l.State(want[i]); got != want[i+1] {
			l.T.Errorf("%s is %s, want %s", want[i], got, want[i+1])
		}
	}
}

// Pending are the tasks of the default queue that wait for a worker, in the order in
// which they will be taken.
func (l *Line) Pending() []string {
	l.T.Helper()
	ids, err := l.Redis.LRange(l.T.Context(), "asynq:{default}:pending", 0, -1).Result()
	if err != nil {
		l.T.Fatal(err)
	}
	slices.Reverse(ids)
	return ids
}

// Members wants the tasks of the lane Talk in their order.
func (l *Line) Members(want ...string) {
	l.T.Helper()
	got, err := l.Redis.ZRange(l.T.Context(), "cozeq:lane:{"+Talk+"}", 0, -1).Result()
	if err != nil {
		l.T.Fatal(err)
	}
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], tasks.QueueDefault+"/")
	}
	if !slices.Equal(got, want) {
		l.T.Errorf("lane %q, want %q", got, want)
	}
}

// Age makes the sweep look at all lanes now, as if all members had joined a minute
// before they did.
func Age(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	AgeRegistry(t, rdb)
	script := redis.NewScript(`
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -60000000, member) end
return 0`)
	for _, key := range redistest.Keys(t, rdb, "cozeq:lane:*") {
		if err := script.Run(context.Background(), rdb, []string{key}).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// AgeRegistry makes the sweep look at all lanes now.
func AgeRegistry(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	err := redis.NewScript(`
for _, lane in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -60, lane) end
return 0`).Run(context.Background(), rdb, []string{"cozeq:lanes"}).Err()
	if err != nil {
		t.Fatal(err)
	}
}

// AnyKey leads a cluster's client to the node that has the default queue.
var AnyKey = []string{"asynq:{default}:pending"}

// What asynq's server does to a task of the default queue, in one step each as
// there (asynq v0.26, internal/rdb).
var (
	TakeScript = redis.NewScript(`
local id = redis.call('RPOPLPUSH', 'asynq:{default}:pending', 'asynq:{default}:active')
if not id then return '' end
redis.call('HSET', 'asynq:{default}:t:' .. id, 'state', 'active')
redis.call('ZADD', 'asynq:{default}:lease', 9999999999, id)
return id`)

	// LeaveScript takes the state and the score of the set of that name, or the
	// state "" for a task that is to be forgotten.
	LeaveScript = redis.NewScript(`
if redis.call('LREM', 'asynq:{default}:active', 0, ARGV[1]) == 0 then return 0 end
redis.call('ZREM', 'asynq:{default}:lease', ARGV[1])
local task = 'asynq:{default}:t:' .. ARGV[1]
if ARGV[2] == '' then return redis.call('DEL', task) end
redis.call('HSET', task, 'state', ARGV[2])
if ARGV[2] == 'pending' then return redis.call('RPUSH', 'asynq:{default}:pending', ARGV[1]) end
return redis.call('ZADD', 'asynq:{default}:' .. ARGV[2], ARGV[3], ARGV[1])`)
)

// Take begins the next pending task.
func (l *Line) Take(want string) {
	l.T.Helper()
	if id, err := TakeScript.Run(l.T.Context(), l.Redis, AnyKey).Text(); err != nil || id != want {
		l.T.Fatalf("the queue gave %q, %v; want %s", id, err, want)
	}
}

// Leave ends an active task as asynq does, or puts it into the retry set.
func (l *Line) Leave(id, state string, at time.Time) {
	l.T.Helper()
	if err := LeaveScript.Run(l.T.Context(), l.Redis, AnyKey, id, state, at.Unix()).Err(); err != nil {
		l.T.Fatal(err)
	}
}

func (l *Line) Begin(id string) *record.Attempt {
	l.T.Helper()
	return Begin(l.T, l.Store, id)
}

// Answer ends a task's record as completed.
func (l *Line) Answer(id string) {
	l.T.Helper()
	Answer(l.T, l.Store, id, "")
}

func (l *Line) Status(id string) results.Status {
	l.T.Helper()
	return Get(l.T, l.Store, id).Status
}

func (l *Line) Must(err error) {
	l.T.Helper()
	if err != nil {
		l.T.Fatal(err)
	}
}

// Faulty runs f as a process of its own whose nth call to Redis has this fate, and
// reports whether there was one. Faults are made on the embedded store only: what
// Redis is does not matter to them.
func Faulty(t *testing.T, rdb redis.UniversalClient, n int, what redistest.Fate, f func(c *tasks.Client) error) (hit bool, err error) {
	return FaultyOn(t, rdb, n, what, func(rdb redis.UniversalClient) error { return f(tasks.NewClient(results.NewStore(rdb))) })
}

// FaultyOn is Faulty for more than a client.
func FaultyOn(t *testing.T, rdb redis.UniversalClient, n int, what redistest.Fate, f func(rdb redis.UniversalClient) error) (hit bool, err error) {
	s := redistest.NewStage(rdb)
	s.Enter("process", func(a *redistest.Actor) { err = f(a.Redis) })
	for i := 1; len(s.Actors) > 0; i++ {
		if i == n {
			hit = true
			s.Step(s.Actors[0], what)
		} else {
			s.Step(s.Actors[0], redistest.Answered)
		}
	}
	return hit, err
}

// EachFault runs f for each call and each fate, on an empty store each time, until
// f says that there was no such call.
func EachFault(t *testing.T, f func(t *testing.T, l *Line, n int, what redistest.Fate) (hit bool)) {
	for _, what := range []redistest.Fate{redistest.Unsent, redistest.Unheard, redistest.Twice} {
		for n, hit := 1, true; hit; n++ {
			t.Run(fmt.Sprintf("call %d %s", n, what), func(t *testing.T) {
				s, err := embeddedredis.Start()
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				hit = f(t, New(t, s.Client()), n, what)
			})
			if n > 50 {
				t.Fatal("it does not end")
			}
		}
	}
}
