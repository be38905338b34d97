package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
)

// rebuildChunk is how many waiting turns one read takes.
const rebuildChunk = 2000

// Rebuild restores lanes that Redis has lost: it puts turns back that wait in these queues and are not in their lanes,
// and runs those that are heads. It returns how many it put back. It reads the id and two small fields of every waiting
// turn, so 10,000 of them cost Redis about 50 ms.
//
// A lost lane has lost its head, too. The head does not wait for a turn: it is pending (in its tenant's list, if it has
// one) or active. So if a turn is missing from its lane, those are put back first. Otherwise the second turn would run beside the first.
func (l *Lanes) Rebuild(ctx context.Context, queues []string) (n int, err error) {
	for _, queue := range queues {
		m, err := l.rebuild(ctx, queue)
		n += m
		if err != nil {
			return n, fmt.Errorf("rebuild the lanes of queue %s: %w", queue, err)
		}
	}
	return n, nil
}

func (l *Lanes) rebuild(ctx context.Context, queue string) (n int, err error) {
	var lost []string
	for _, set := range []string{"scheduled", "retry"} {
		strays, ended, err := l.lost(ctx, queue, asynqx.Key(queue, set))
		if err != nil {
			return 0, err
		}
		lost = append(lost, strays...)
		for _, id := range ended { // the worker that gets it sees that it has ended
			if err := l.Run(ctx, Place{Queue: queue, ID: id}); err != nil {
				return 0, err
			}
		}
	}
	if len(lost) == 0 {
		return 0, nil
	}
	var heads []string
	for _, list := range []string{"active", "pending"} {
		ids, err := l.rdb.LRange(ctx, asynqx.Key(queue, list), 0, -1).Result()
		if err != nil {
			return 0, err
		}
		heads = append(heads, ids...)
	}
	filed, err := asynqx.FiledIDs(ctx, l.rdb, queue)
	if err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(append(heads, filed...), rebuildChunk) {
		strays, _, err := l.strays(ctx, queue, chunk)
		if err != nil {
			return 0, err
		}
		for _, id := range strays {
			if _, _, err := l.putBack(ctx, queue, id); err != nil {
				return 0, err
			}
		}
	}
	for _, id := range lost {
		place, head, err := l.putBack(ctx, queue, id)
		if err != nil {
			return n, err
		}
		if place.Lane != "" {
			n++
		}
		if head {
			if err := l.Run(ctx, place); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// lost returns the turns that wait in one of asynq's sets and are not in their lanes. One of them may have ended: if Enqueue is
// repeated, it may give asynq a turn once more that has just been answered and has left its lane.
func (l *Lanes) lost(ctx context.Context, queue, set string) (all, ended []string, err error) {
	waiting := strconv.FormatInt(time.Now().Add(WaitsAhead/2).Unix(), 10)
	for offset := int64(0); ; offset += rebuildChunk {
		ids, err := l.rdb.ZRangeByScore(ctx, set, &redis.ZRangeBy{
			Min: waiting, Max: "(" + strconv.Itoa(asynqx.FiledScore), Offset: offset, Count: rebuildChunk,
		}).Result()
		if err != nil {
			return nil, nil, err
		}
		strays, over, err := l.strays(ctx, queue, ids)
		if err != nil {
			return nil, nil, err
		}
		all, ended = append(all, strays...), append(ended, over...)
		if len(ids) < rebuildChunk {
			return all, ended, nil
		}
	}
}

// strays returns those of ids that are not in the lane that their records name, apart from those that have ended.
func (l *Lanes) strays(ctx context.Context, queue string, ids []string) (strays, ended []string, err error) {
	records := make([]*redis.SliceCmd, len(ids))
	_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			records[i] = p.HMGet(ctx, results.Key(id), "lane", "status")
		}
		return nil
	})
	if err = ignoreKeyFaults(err, records); err != nil {
		return nil, nil, err
	}
	places := make([]*redis.FloatCmd, len(ids))
	_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			if records[i].Err() != nil {
				continue // no record at all
			}
			if lane, _ := records[i].Val()[0].(string); lane != "" {
				place := Place{Lane: lane, Queue: queue, ID: id}
				places[i] = p.ZScore(ctx, rediskey.Lane(place.Lane), place.member())
			}
		}
		return nil
	})
	if err = ignoreKeyFaults(err, places); err != nil {
		return nil, nil, err
	}
	for i, place := range places {
		if place == nil || !errors.Is(place.Err(), redis.Nil) {
			continue
		}
		if status, _ := records[i].Val()[1].(string); results.Status(status).Terminal() {
			ended = append(ended, ids[i])
		} else {
			strays = append(strays, ids[i])
		}
	}
	return strays, ended, nil
}

// ignoreKeyFaults is a pipeline's error. It ignores keys that are gone or hold something else: one bad key must not keep
// the others waiting.
func ignoreKeyFaults[C interface {
	comparable
	Err() error
}](err error, cmds []C) error {
	if err == nil {
		return nil
	}
	var none C
	for _, cmd := range cmds {
		if cmd == none || cmd.Err() == nil || cmd.Err() == redis.Nil {
			continue
		}
		if _, own := errors.AsType[*results.KeyError](results.KeyFault("", cmd.Err())); !own {
			return err
		}
	}
	return nil
}

// putBack lets a turn join its lane again. Lane and place are in the payload. The zero Place stands for a task that is
// gone or has no lane.
func (l *Lanes) putBack(ctx context.Context, queue, id string) (place Place, head bool, err error) {
	info, err := l.inspector.GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return Place{}, false, nil
	}
	if err != nil {
		return Place{}, false, err
	}
	turn, ok := turnOf(info)
	if !ok || turn.lane() == "" {
		return Place{}, false, nil
	}
	place = Place{Lane: turn.lane(), Queue: queue, ID: id}
	_, head, err = l.Join(ctx, place, turn.LaneSeq)
	return place, head, err
}
