package asynqx

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
)

// Bulk puts many tasks into asynq's queues in one round trip. asynq itself enqueues
// one at a time; how it does that is its own, and not copied here: its client talks to a
// recorder, and what it would have sent is sent together.
type Bulk struct {
	rdb redis.UniversalClient

	mu       sync.Mutex // one recording at a time
	recorder *recorder
	client   *asynq.Client
}

func NewBulk(rdb redis.UniversalClient) *Bulk {
	r := &recorder{UniversalClient: rdb, scripts: make(map[string]enqueueScript)}
	return &Bulk{rdb: rdb, recorder: r, client: asynq.NewClientFromRedisClient(r)}
}

// Submission is a task for asynq.
type Submission struct {
	Task    *asynq.Task
	Options []asynq.Option
	Tenant  string // "": it is in no tenant's list
	Err     error  // set: asynq.ErrTaskIDConflict for an id that asynq has
}

// Submit puts tasks into their queues in their order.
func (b *Bulk) Submit(ctx context.Context, all []*Submission) {
	sent := make([]*Submission, 0, len(all))
	b.mu.Lock()
	for _, s := range all {
		before := len(b.recorder.calls)
		b.recorder.tenant = s.Tenant
		_, s.Err = b.client.EnqueueContext(ctx, s.Task, s.Options...)
		switch n := len(b.recorder.calls) - before; {
		case s.Err != nil:
			b.recorder.calls = b.recorder.calls[:before]
		case n != 1:
			b.recorder.calls = b.recorder.calls[:before]
			s.Err = fmt.Errorf("asynq's client made %d calls of scripts for a task, not 1: this is not the version of asynq that cozeq was made for", n)
		default:
			sent = append(sent, s)
		}
	}
	calls := b.recorder.calls
	b.recorder.calls = nil
	b.mu.Unlock()

	for i, reply := range redisscript.Run(ctx, b.rdb, calls) {
		n, err := reply.Int()
		switch {
		case err != nil:
			sent[i].Err = err
		case n == 0:
			sent[i].Err = asynq.ErrTaskIDConflict
		}
	}
}

// recorder is a Redis client that writes calls of scripts down and answers each with 1,
// what asynq's scripts answer for a task that was put into its queue. All else it passes
// on.
type recorder struct {
	redis.UniversalClient
	scripts map[string]enqueueScript // by hash
	tenant  string                   // of the task that comes next
	calls   []redisscript.Call
}

// enqueueScript is a script of asynq's that puts a task into its queue.
type enqueueScript struct{ plain, tenant *redis.Script }

// EvalSha records a call. Of a script that is new it says that Redis does not know it:
// then asynq sends the source, which is needed should Redis say so itself.
func (r *recorder) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	script, ok := r.scripts[sha]
	if !ok {
		return unseen(ctx)
	}
	call := redisscript.Call{Script: script.plain, Keys: keys, Args: args}
	if r.tenant != "" {
		queue, id := taskOf(keys[0])
		call = redisscript.Call{Script: script.tenant, Keys: ringKeys(keys, queue), Args: append(slices.Clip(args), id, r.tenant, rediskey.QueueWork(queue))}
	}
	r.calls = append(r.calls, call)
	cmd := redis.NewCmd(ctx)
	cmd.SetVal(int64(1))
	return cmd
}

// Eval records a call and learns the script: asynq's behind enqueue.lua.
func (r *recorder) Eval(ctx context.Context, text string, keys []string, args ...any) *redis.Cmd {
	sum := sha1.Sum([]byte(text))
	sha := hex.EncodeToString(sum[:])
	r.scripts[sha] = enqueueScript{
		plain:  redis.NewScript(source("enqueue.lua") + text),
		tenant: redis.NewScript(before("enqueuetenant.lua")(text)),
	}
	return r.EvalSha(ctx, sha, keys, args...)
}
