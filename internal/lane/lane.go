// Package lane keeps the order of the turns of a conversation. Tasks of one lane run one at a time, in the order in
// which they were enqueued.
//
//	cozeq:lane:{LANE}      zset    the turns that wait or run, by their places
//	cozeq:lastchat:{LANE}  string  the chat of the turn that left last
//	cozeq:lanes            zset    lanes that may have turns, by their last join or hand-on: where the sweep looks
//
// A lane does not ask and does not judge: it says whose turn it is, and makes that task pending in asynq.
package lane

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/results"
)

// Lanes are the lanes of one Redis. The head of a lane is the task whose turn it is. Only the head is pending in asynq.
// The others are scheduled so far ahead that they never fall due by themselves. When the head leaves, its successor is
// run at once, so nothing polls and a waiting turn holds no worker. The head of a tenant waits in that tenant's list, until
// it is the tenant's turn (docs/fairness.md).
//
// A lane and asynq's queue are different keys, in a cluster on different nodes. No step can change both, so each gap
// between two steps has its answer:
//
//   - A producer joins the lane (1) and enqueues (2). If the head leaves in between, its successor is not in asynq yet
//     and cannot be run. So the producer looks at the lane again after 2 and runs its own task if it is the head by
//     then. One of the two sees the step of the other.
//   - A producer dies between 1 and 2. The lane has a member that asynq does not know. The sweep drops it once it is
//     older than joinGrace.
//   - A worker takes its task out of the lane (3) and dies before it runs the successor (4). asynq hands the old task
//     out again, its record has ended, and the next worker repeats 3 and 4. Both may be repeated.
//   - Someone deletes or archives the head in asynqmon. The sweep finds a head that asynq does not hold in any live
//     state, and lets it leave.
//   - Redis loses the lane. Each task that runs joins again first, at the place that its payload remembers.
type Lanes struct {
	rdb       redis.UniversalClient
	inspector *asynq.Inspector
}

func New(rdb redis.UniversalClient) *Lanes {
	return &Lanes{rdb: rdb, inspector: asynqx.NewInspector(rdb)}
}

const (
	// WaitsAhead is how far ahead a waiting turn is scheduled.
	WaitsAhead = 10 * 365 * 24 * time.Hour

	// joinGrace is the time that a slow producer may take between its two steps.
	joinGrace = 30 * time.Second

	ttl         = 30 * 24 * time.Hour // longer than any turn waits
	lastChatTTL = 10 * time.Minute    // much more than clocks differ
)

// Waits reports whether a task that is due so far ahead waits for its turn.
func Waits(ahead time.Duration) bool { return ahead > WaitsAhead/2 }

//go:embed *.lua
var scripts embed.FS

var (
	joinScript   = redisscript.Script(scripts, "join.lua")
	leaveScript  = redisscript.Script(scripts, "leave.lua")
	forgetScript = redisscript.Script(scripts, "forget.lua")
)

// Place says where a task stands: its lane, its queue and its id.
type Place struct {
	Lane  string
	Queue string
	ID    string
}

func (p Place) member() string { return p.Queue + "/" + p.ID }

func placeOf(lane, member string) Place {
	queue, id, _ := strings.Cut(member, "/")
	return Place{Lane: lane, Queue: queue, ID: id}
}

// Turn is a task that joins its lane.
type Turn struct {
	Place Place
	Seq   int64 // the place that it had, 0 for none; after joining the place that it has
	Head  bool  // after joining: it is the lane's head
}

func joinCall(turns []*Turn) redisscript.Call {
	args := append(make([]any, 0, 2+2*len(turns)), time.Now().UnixMicro(), int64(ttl/time.Second))
	for _, t := range turns {
		args = append(args, t.Place.member(), t.Seq)
	}
	return redisscript.Call{Script: joinScript, Keys: []string{rediskey.Lane(turns[0].Place.Lane)}, Args: args}
}

func joined(turns []*Turn, reply *redis.Cmd) error {
	lane := turns[0].Place.Lane
	places, err := reply.StringSlice()
	if err != nil {
		return fmt.Errorf("join lane %s: %w", lane, results.KeyFault(rediskey.Lane(lane), err))
	}
	for i, t := range turns {
		if t.Seq, err = strconv.ParseInt(places[i], 10, 64); err != nil {
			return fmt.Errorf("join lane %s: %w", lane, err)
		}
		t.Head = places[len(turns)] == t.Place.member()
	}
	return nil
}

// Join puts a task into its lane, at the place seq if that is not 0. It returns the task's place and whether it is the
// head. Joining twice changes nothing.
func (l *Lanes) Join(ctx context.Context, p Place, seq int64) (at int64, head bool, err error) {
	// The registry first: the sweep looks in vain at a lane that is listed and empty, but never at one that is not listed.
	if err := l.touch(ctx, p.Lane); err != nil {
		return 0, false, err
	}
	return l.Rejoin(ctx, p, seq)
}

// JoinAll is Join for the turns of many lanes. It returns errors by lane.
func (l *Lanes) JoinAll(ctx context.Context, lanes []string, turns map[string][]*Turn) map[string]error {
	errs := make(map[string]error)
	if err := l.touch(ctx, lanes...); err != nil {
		for _, lane := range lanes {
			errs[lane] = err
		}
		return errs
	}
	calls := make([]redisscript.Call, len(lanes))
	for i, lane := range lanes {
		calls[i] = joinCall(turns[lane])
	}
	for i, reply := range redisscript.Run(ctx, l.rdb, calls) {
		if err := joined(turns[lanes[i]], reply); err != nil {
			errs[lanes[i]] = err
		}
	}
	return errs
}

// Rejoin is Join for a task that most likely is in its lane already: one round trip, without the registry.
func (l *Lanes) Rejoin(ctx context.Context, p Place, seq int64) (at int64, head bool, err error) {
	t := []*Turn{{Place: p, Seq: seq}}
	if err := joined(t, redisscript.Run(ctx, l.rdb, []redisscript.Call{joinCall(t)})[0]); err != nil {
		return 0, false, err
	}
	return t[0].Seq, t[0].Head, nil
}

// touch notes in the registry that something happened in these lanes.
func (l *Lanes) touch(ctx context.Context, lanes ...string) error {
	now := float64(time.Now().Unix())
	all := make([]redis.Z, len(lanes))
	for i, lane := range lanes {
		all[i] = redis.Z{Score: now, Member: lane}
	}
	if err := l.rdb.ZAdd(ctx, rediskey.Lanes, all...).Err(); err != nil {
		return fmt.Errorf("register lane %s: %w", lanes[0], err)
	}
	return nil
}

// Heads returns the heads of these lanes, the zero Place for an empty lane, in one round trip.
func (l *Lanes) Heads(ctx context.Context, lanes []string) ([]Place, error) {
	replies := make([]*redis.StringSliceCmd, len(lanes))
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, lane := range lanes {
			replies[i] = p.ZRange(ctx, rediskey.Lane(lane), 0, 0)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("heads of lanes: %w", err)
	}
	places := make([]Place, len(lanes))
	for i, reply := range replies {
		if head := reply.Val(); len(head) > 0 {
			places[i] = placeOf(lanes[i], head[0])
		}
	}
	return places, nil
}

// Seqs returns the places that tasks have in their lanes, 0 for a task that is not in its lane.
func (l *Lanes) Seqs(ctx context.Context, places []Place) ([]int64, error) {
	replies := make([]*redis.FloatCmd, len(places))
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, place := range places {
			replies[i] = p.ZScore(ctx, rediskey.Lane(place.Lane), place.member())
		}
		return nil
	})
	if err = ignoreKeyFaults(err, replies); err != nil {
		return nil, fmt.Errorf("places in lanes: %w", err)
	}
	seqs := make([]int64, len(places))
	for i, reply := range replies {
		seqs[i] = int64(reply.Val())
	}
	return seqs, nil
}

// LastChat returns the chat of the lane's last turn, "" if it is not known. Turns of a lane come one after the other, so
// what stands before that chat in the conversation belongs to earlier turns.
func (l *Lanes) LastChat(ctx context.Context, lane string) (string, error) {
	id, err := l.rdb.Get(ctx, rediskey.LastChat(lane)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("last chat of lane %s: %w", lane, err)
	}
	return id, nil
}

// Leave takes a task out of its lane and runs the new head.
func (l *Lanes) Leave(ctx context.Context, p Place) error { return l.LeaveAfter(ctx, p, "") }

// LeaveAfter is Leave for a task that had a chat. LastChat returns that chat until the next turn leaves, for at most ten
// minutes. An empty chatID leaves the last chat as it is.
func (l *Lanes) LeaveAfter(ctx context.Context, p Place, chatID string) error {
	next, err := leaveScript.Run(ctx, l.rdb, []string{rediskey.Lane(p.Lane), rediskey.LastChat(p.Lane)},
		p.member(), chatID, int64(lastChatTTL/time.Second)).Text()
	if err != nil {
		return fmt.Errorf("leave lane %s: %w", p.Lane, results.KeyFault(rediskey.Lane(p.Lane), err))
	}
	if next == "" {
		return nil
	}
	return l.Run(ctx, placeOf(p.Lane, next))
}

// Run makes a task pending, or puts it into its tenant's list. It leaves a task alone that is so already, or active, or not
// enqueued yet.
func (l *Lanes) Run(ctx context.Context, p Place) error {
	err := l.inspector.RunTask(p.Queue, p.ID)
	if errors.Is(err, asynq.ErrQueueNotFound) {
		// A client registers a queue once. A Redis that has lost the registry since then may still hold the task.
		if err := asynqx.Register(ctx, l.rdb, p.Queue); err != nil {
			return err
		}
		err = l.inspector.RunTask(p.Queue, p.ID)
	}
	if err == nil || errors.Is(err, asynq.ErrTaskNotFound) {
		return nil
	}
	// asynq has no sentinel for "already pending" and "already active". Both are what was wanted.
	info, infoErr := l.inspector.GetTaskInfo(p.Queue, p.ID)
	if infoErr == nil && (info.State == asynq.TaskStatePending || info.State == asynq.TaskStateActive) ||
		errors.Is(infoErr, asynq.ErrTaskNotFound) {
		return nil
	}
	return fmt.Errorf("run task %s of lane %s: %w", p.ID, p.Lane, err)
}
