package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
)

// sweepAge is how long a lane is left alone after its last join, hand-on or sweep.
const sweepAge = 20 * time.Second

// sweepChunk is how many lanes one read of the registry takes.
const sweepChunk = 500

// Sweep looks at every lane in which nothing has happened for sweepAge. It runs a head that waits as if it were not the
// head. It drops a head that asynq does not hold any more, and returns the dropped ones, whose records may still be open.
func (l *Lanes) Sweep(ctx context.Context) (dropped []Place, err error) {
	until := fmt.Sprint(time.Now().Add(-sweepAge).Unix())
	for {
		lanes, err := l.rdb.ZRangeByScoreWithScores(ctx, rediskey.Lanes, &redis.ZRangeBy{
			Min: "-inf", Max: until, Count: sweepChunk,
		}).Result()
		if err != nil {
			return dropped, fmt.Errorf("read lanes: %w", err)
		}
		for _, z := range lanes {
			lane, _ := z.Member.(string)
			place, err := l.check(ctx, lane, z.Score)
			if err != nil {
				return dropped, err
			}
			if place != (Place{}) {
				dropped = append(dropped, place)
			}
		}
		// Every lane that was read has a new score or has left the registry.
		if len(lanes) < sweepChunk {
			return dropped, nil
		}
	}
}

// check looks at the head of one lane and returns it if it had to be dropped.
func (l *Lanes) check(ctx context.Context, lane string, score float64) (Place, error) {
	heads, err := l.rdb.ZRangeWithScores(ctx, rediskey.Lane(lane), 0, 0).Result()
	if err = results.KeyFault(rediskey.Lane(lane), err); err != nil {
		if _, ok := errors.AsType[*results.KeyError](err); ok { // it would stop every sweep here
			_ = l.rdb.ZRem(ctx, rediskey.Lanes, lane).Err()
		}
		return Place{}, fmt.Errorf("head of lane %s: %w", lane, err)
	}
	if len(heads) == 0 {
		err := forgetScript.Run(ctx, l.rdb, []string{rediskey.Lanes}, lane, int64(score)).Err()
		return Place{}, err
	}
	if err := l.touch(ctx, lane); err != nil {
		return Place{}, err
	}
	member, _ := heads[0].Member.(string)
	head := placeOf(lane, member)
	info, err := l.inspector.GetTaskInfo(head.Queue, head.ID)
	switch {
	case errors.Is(err, asynq.ErrQueueNotFound):
		return Place{}, asynqx.Register(ctx, l.rdb, head.Queue) // the next sweep sees what is in it
	case errors.Is(err, asynq.ErrTaskNotFound):
		joined := time.UnixMicro(int64(heads[0].Score))
		if time.Since(joined) < joinGrace {
			return Place{}, nil
		}
		return head, l.Leave(ctx, head)
	case err != nil:
		return Place{}, fmt.Errorf("look at task %s of lane %s: %w", head.ID, lane, err)
	}
	if turn, ok := turnOf(info); ok && info.State == asynq.TaskStateArchived && turn.OnTurnFailure == Block {
		return Place{}, nil // it failed, and the others wait until it is retried or canceled
	}
	switch info.State {
	case asynq.TaskStateCompleted, asynq.TaskStateArchived:
		return head, l.Leave(ctx, head)
	case asynq.TaskStateScheduled, asynq.TaskStateRetry:
		if Waits(time.Until(info.NextProcessAt)) {
			return Place{}, l.Run(ctx, head)
		}
	}
	return Place{}, nil
}
