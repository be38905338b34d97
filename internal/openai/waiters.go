package openai

import (
	"context"
	_ "embed"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// A client that hangs up wants its chat canceled. A client of OpenAI's SDKs that has had enough of waiting hangs up, too,
// but comes again half a second to eight seconds later with the same request. And a request that joined another one's task
// by an idempotency key may hang up while the other still waits. So a task is canceled only if nobody waits for it, and
// nobody has come again for a while:
//
//  1. A request enters cozeq:waiting:{ID} before its task is enqueued or joined. So a retry, at whichever serve it arrives,
//     is there before it waits.
//  2. It leaves at its end, whatever that is.
//  3. If it has gone without the end of the task, its serve looks at the set after the grace, and cancels the task if the
//     set is empty. A stream has no grace: the SDKs do not repeat a request whose reply has begun.
//
// If the serve dies before 3, nobody cancels: the task is answered, or ends unasked at its expires_at (Config.Deadline). If
// it dies before 2, its entry ends with its lease, and a retry that hangs up before that cancels nothing. If a retry enters
// between the look and the cancellation, it gets the error "canceled" and no answer: a window of one round trip, a whole
// grace after the client was last seen.
const (
	defaultGrace = 15 * time.Second

	// waitLease is how long an entry counts. It is longer than most requests wait; who waits longer may be overlooked by
	// another request that hangs up.
	waitLease = 20 * time.Minute

	// maxAbandoned bounds the tasks whose grace runs. Others are not canceled.
	maxAbandoned = 10_000
)

// waitersScript counts who waits for a task.
//
//go:embed waiters.lua
var waitersSource string

var waitersScript = redis.NewScript(waitersSource)

// waiters knows who waits for which task.
type waiters struct {
	redis  redis.UniversalClient
	cancel func(ctx context.Context, id string) error

	mu     sync.Mutex
	timers map[*time.Timer]struct{}
	closed bool
	done   sync.WaitGroup
}

// enter notes that a request waits for a task, and returns its name.
func (w *waiters) enter(ctx context.Context, id string) (name string, err error) {
	name = uuid.NewString()
	until := float64(time.Now().Add(waitLease).Unix())
	_, err = w.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, rediskey.Waiting(id), redis.Z{Score: until, Member: name})
		p.Expire(ctx, rediskey.Waiting(id), waitLease)
		return nil
	})
	return name, err
}

// leave notes that the request of this name waits no longer. If its task goes on and its client has gone, abandoned is true:
// the task is canceled after the grace if nobody waits for it then.
func (w *waiters) leave(id, name string, abandoned bool, grace time.Duration) {
	// The request's context has ended where this matters.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	left, err := waitersScript.Run(ctx, w.redis, []string{rediskey.Waiting(id)}, time.Now().Unix(), name).Int()
	if !abandoned || err == nil && left > 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.timers) >= maxAbandoned {
		return
	}
	if w.timers == nil {
		w.timers = make(map[*time.Timer]struct{})
	}
	var timer *time.Timer
	w.done.Add(1)
	timer = time.AfterFunc(grace, func() {
		defer w.done.Done()
		w.mu.Lock()
		delete(w.timers, timer)
		w.mu.Unlock()
		w.giveUp(id)
	})
	w.timers[timer] = struct{}{}
}

// giveUp cancels a task that nobody waits for. A Redis that does not answer leaves it alone.
func (w *waiters) giveUp(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	left, err := waitersScript.Run(ctx, w.redis, []string{rediskey.Waiting(id)}, time.Now().Unix(), "").Int()
	if err == nil && left == 0 {
		_ = w.cancel(ctx, id) // the task goes on and ends by itself
	}
}

// close drops what waits for its grace: the clients come again at another serve.
func (w *waiters) close() {
	w.mu.Lock()
	w.closed = true
	for timer := range w.timers {
		if timer.Stop() {
			w.done.Done()
		}
	}
	w.timers = nil
	w.mu.Unlock()
	w.done.Wait()
}
