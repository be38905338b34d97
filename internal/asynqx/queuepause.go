package asynqx

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
)

// QueuePauses pause asynq's queues for credentials that are paused. asynq's own key shows the pause in asynqmon. cozeq's note
// beside it has the same stamp, which an operator's pause has not, and a field for each credential that the queue is paused
// for. Workers of other credentials continue: see dequeue.lua. Both keys share the queue's slot.
type QueuePauses struct{ Redis redis.UniversalClient }

func credentialField(credential string) string { return "credential:" + credential }

// probeDue in a credential's field lets its workers take one task. probequeue.lua and dequeue.lua have the same word.
const probeDue = "probe"

var (
	pauseQueueScript     = redisscript.Script(sources, "pausequeue.lua")
	resumeQueueScript    = redisscript.Script(sources, "resumequeue.lua")
	probeQueueScript     = redisscript.Script(sources, "probequeue.lua")
	operatorPauseScript  = redisscript.Script(sources, "operatorpause.lua")
	operatorResumeScript = redisscript.Script(sources, "operatorresume.lua")
)

func (q QueuePauses) Queues(ctx context.Context) ([]string, error) {
	queues, err := q.Redis.SMembers(ctx, queuesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return queues, nil
}

// Pause pauses a queue for a credential. fresh is false if it was before, or an operator has paused it.
func (q QueuePauses) Pause(ctx context.Context, queue, credential string) (fresh bool, err error) {
	if err := Register(ctx, q.Redis, queue); err != nil {
		return false, err
	}
	fresh, err = pauseQueueScript.Run(ctx, q.Redis, []string{Key(queue, "paused"), rediskey.QueuePaused(queue)},
		time.Now().Unix(), credential, credentialField(credential)).Bool()
	if err != nil {
		return false, fmt.Errorf("pause queue %s: %w", queue, err)
	}
	return fresh, nil
}

func (q QueuePauses) Resume(ctx context.Context, queue, credential string) error {
	keys := []string{Key(queue, "paused"), rediskey.QueuePaused(queue)}
	if err := resumeQueueScript.Run(ctx, q.Redis, keys, credentialField(credential)).Err(); err != nil {
		return fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return nil
}

// Probe lets one task be taken from the first of these queues that has one.
func (q QueuePauses) Probe(ctx context.Context, queues []string, credential string) error {
	for _, queue := range queues {
		keys := []string{Key(queue, "pending"), rediskey.QueuePaused(queue), rediskey.QueueTenants(queue)}
		found, err := probeQueueScript.Run(ctx, q.Redis, keys, credentialField(credential)).Bool()
		if err != nil {
			return fmt.Errorf("probe queue %s: %w", queue, err)
		}
		if found {
			return nil
		}
	}
	return nil
}

// QueueNote is what is known of a queue's pause.
type QueueNote struct {
	Credentials []string // sorted; empty: cozeq has not paused it
	Stands      bool     // asynq's pause is still cozeq's: an operator may have ended it, or made it theirs
	Since       string   // asynq's stamp, "" = not paused
}

func (q QueuePauses) Note(ctx context.Context, queue string) (n QueueNote, err error) {
	var stamp *redis.StringCmd
	var ours *redis.MapStringStringCmd
	_, err = q.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		stamp = p.Get(ctx, Key(queue, "paused"))
		ours = p.HGetAll(ctx, rediskey.QueuePaused(queue))
		return nil
	})
	if err != nil && err != redis.Nil {
		return n, fmt.Errorf("read the pause of queue %s: %w", queue, err)
	}
	for field := range ours.Val() {
		if credential, ok := strings.CutPrefix(field, credentialField("")); ok {
			n.Credentials = append(n.Credentials, credential)
		}
	}
	slices.Sort(n.Credentials)
	n.Since = stamp.Val()
	n.Stands = n.Since != "" && n.Since == ours.Val()["stamp"]
	return n, nil
}

// OperatorPause pauses a queue for an operator, as asynqmon would. Only OperatorResume or asynqmon ends that. A pause that
// cozeq has made becomes the operator's. fresh is false if it was the operator's already.
func (q QueuePauses) OperatorPause(ctx context.Context, queue string) (fresh bool, err error) {
	if err := Register(ctx, q.Redis, queue); err != nil {
		return false, err
	}
	keys := []string{Key(queue, "paused"), rediskey.QueuePaused(queue)}
	fresh, err = operatorPauseScript.Run(ctx, q.Redis, keys, time.Now().Unix()).Bool()
	if err != nil {
		return false, fmt.Errorf("pause queue %s: %w", queue, err)
	}
	return fresh, nil
}

// OperatorResume ends an operator's pause. resumed is false if there is none. A pause that cozeq has made ends when a probe
// is answered.
func (q QueuePauses) OperatorResume(ctx context.Context, queue string) (resumed bool, err error) {
	keys := []string{Key(queue, "paused"), rediskey.QueuePaused(queue)}
	resumed, err = operatorResumeScript.Run(ctx, q.Redis, keys).Bool()
	if err != nil {
		return false, fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return resumed, nil
}
