// Package lane keeps the order of the turns of a conversation. Its keys are
//
//	cozeq:lane:{LANE}      zset    the tasks that wait, in their order
//	cozeq:lastchat:{LANE}  string  the chat of the turn that left last
//	cozeq:lanes            zset    all lanes that may have members: where the sweep looks
//
// It is not for anything but the tasks of this module: a caller sees lanes as the promise
// that package tasks makes.
package lane

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pipeline"
	"github.com/cozeq/cozeq/results"
)

// Lanes keep the order of a conversation's turns. A lane is a sorted set of the
// tasks that wait in it, and its head is the one whose turn it is: only the head
// is pending in asynq, the others are scheduled too far ahead to ever fall due
// by themselves. When the head leaves, for whatever reason, its successor is run
// at once: nothing polls, and a waiting turn holds no worker.
//
// The lane and asynq's queue are different keys, in a cluster on different
// nodes, so no step can change both. What can die or race between two steps:
//
//   - A producer joins the lane (1) and enqueues (2). The head leaves between 1
//     and 2: its successor is not in asynq yet and cannot be run. So the
//     producer looks at the lane again after 2 and, if its task is the head by
//     now, runs it itself. One of the two sees the other's step.
//   - A producer dies between 1 and 2: the lane has a member that asynq does not
//     know. The worker's sweep drops it once it is older than laneGrace.
//   - A worker dies after its task left the lane (3) and before it ran the
//     successor (4). asynq delivers the old task again, its record says that it
//     has ended, and 3 and 4 are done again; both may be done twice.
//   - The head is deleted or archived in asynqmon: the sweep finds a head that
//     asynq does not hold in any live state, and lets it leave.
//   - Redis loses the lane: each task that runs joins again first, in the place
//     that its payload remembers.
type Lanes struct {
	rdb       redis.UniversalClient
	inspector *asynq.Inspector
}

// New returns the lanes kept in rdb.
func New(rdb redis.UniversalClient) *Lanes {
	return &Lanes{rdb: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb)}
}

// Far is how far ahead a waiting turn is scheduled: it never falls due by itself.
const Far = 10 * 365 * 24 * time.Hour

// laneGrace is how long a lane waits for a member that asynq does not know: the
// time that a slow producer may take between its two steps.
const laneGrace = 30 * time.Second

// laneTTL outlives any turn that waits.
const laneTTL = 30 * 24 * time.Hour

// lanesKey holds every lane that may have members, by the time of its last join
// or hand-on in Unix seconds: where the sweep looks.
const lanesKey = "cozeq:lanes"

func laneKey(lane string) string { return "cozeq:lane:{" + lane + "}" }

// lastChatKey holds the chat of the turn that left a lane last, for lastChatTTL: much
// longer than clocks differ.
func lastChatKey(lane string) string { return "cozeq:lastchat:{" + lane + "}" }

const lastChatTTL = 10 * time.Minute

// Place is a task's place in a lane.
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

// joinScript adds members in their order, each behind all others or at the place it
// had, unless it is there, and answers with their places and the head.
//
// KEYS: lane. ARGV: now in microseconds, TTL, then for each member its name and the
// place it had or 0.
var joinScript = redis.NewScript(`
local reply = {}
for i = 3, #ARGV, 2 do
	local at = redis.call('ZSCORE', KEYS[1], ARGV[i])
	if not at then
		at = tonumber(ARGV[i + 1])
		if at == 0 then
			at = tonumber(ARGV[1])
			local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
			if last[2] and tonumber(last[2]) >= at then at = tonumber(last[2]) + 1 end
		end
		redis.call('ZADD', KEYS[1], at, ARGV[i])
	end
	reply[#reply + 1] = string.format('%.0f', tonumber(at))
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
reply[#reply + 1] = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
return reply`)

// Turn is a task that joins a lane.
type Turn struct {
	Place Place
	Seq   int64 // the place it had, 0 = behind all others; set to the one it has

	Head bool // set: it is the lane's head
}

// joining is the call of joinScript for the turns of one lane.
func joining(turns []*Turn) pipeline.Call {
	args := append(make([]any, 0, 2+2*len(turns)), time.Now().UnixMicro(), int64(laneTTL/time.Second))
	for _, t := range turns {
		args = append(args, t.Place.member(), t.Seq)
	}
	return pipeline.Call{Script: joinScript, Keys: []string{laneKey(turns[0].Place.Lane)}, Args: args}
}

// joined notes the reply to a call of joining.
func joined(turns []*Turn, reply *redis.Cmd) error {
	lane := turns[0].Place.Lane
	places, err := reply.StringSlice()
	if err != nil {
		return fmt.Errorf("join lane %s: %w", lane, results.KeyFault(laneKey(lane), err))
	}
	for i, t := range turns {
		if t.Seq, err = strconv.ParseInt(places[i], 10, 64); err != nil {
			return fmt.Errorf("join lane %s: %w", lane, err)
		}
		t.Head = places[len(turns)] == t.Place.member()
	}
	return nil
}

// Join puts a task into its lane, at the place seq if that is not 0, and returns
// its place and whether it is the head. Joining twice changes nothing.
func (l *Lanes) Join(ctx context.Context, p Place, seq int64) (at int64, head bool, err error) {
	// The registry first: a lane that it lists in vain costs the sweep a look, a
	// lane that it does not know would never be swept.
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
	calls := make([]pipeline.Call, len(lanes))
	for i, lane := range lanes {
		calls[i] = joining(turns[lane])
	}
	for i, reply := range pipeline.Run(ctx, l.rdb, calls) {
		if err := joined(turns[lanes[i]], reply); err != nil {
			errs[lanes[i]] = err
		}
	}
	return errs
}

// Rejoin is Join for a task that was in the lane already, as far as anyone
// knows: one round trip, without a note in the registry.
func (l *Lanes) Rejoin(ctx context.Context, p Place, seq int64) (at int64, head bool, err error) {
	t := []*Turn{{Place: p, Seq: seq}}
	if err := joined(t, pipeline.Run(ctx, l.rdb, []pipeline.Call{joining(t)})[0]); err != nil {
		return 0, false, err
	}
	return t[0].Seq, t[0].Head, nil
}

func (l *Lanes) touch(ctx context.Context, lanes ...string) error {
	now := float64(time.Now().Unix())
	all := make([]redis.Z, len(lanes))
	for i, lane := range lanes {
		all[i] = redis.Z{Score: now, Member: lane}
	}
	if err := l.rdb.ZAdd(ctx, lanesKey, all...).Err(); err != nil {
		return fmt.Errorf("register lane %s: %w", lanes[0], err)
	}
	return nil
}

// Heads returns the tasks whose turns it is in these lanes, the zero Place for an empty
// lane, in one round trip.
func (l *Lanes) Heads(ctx context.Context, lanes []string) ([]Place, error) {
	replies := make([]*redis.StringSliceCmd, len(lanes))
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, lane := range lanes {
			replies[i] = p.ZRange(ctx, laneKey(lane), 0, 0)
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

// Seqs returns the places that tasks have in their lanes, 0 for one that is not in its lane.
func (l *Lanes) Seqs(ctx context.Context, places []Place) ([]int64, error) {
	replies := make([]*redis.FloatCmd, len(places))
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, place := range places {
			replies[i] = p.ZScore(ctx, laneKey(place.Lane), place.member())
		}
		return nil
	})
	if err = besideKeys(err, replies); err != nil {
		return nil, fmt.Errorf("places in lanes: %w", err)
	}
	seqs := make([]int64, len(places))
	for i, reply := range replies {
		seqs[i] = int64(reply.Val())
	}
	return seqs, nil
}

// Head returns the task whose turn it is; ok is false for an empty lane.
func (l *Lanes) Head(ctx context.Context, lane string) (p Place, ok bool, err error) {
	head, err := l.rdb.ZRange(ctx, laneKey(lane), 0, 0).Result()
	if err != nil {
		return Place{}, false, fmt.Errorf("head of lane %s: %w", lane, err)
	}
	if len(head) == 0 {
		return Place{}, false, nil
	}
	return placeOf(lane, head[0]), true, nil
}

// LastChat returns the chat of the lane's last turn, "" where it is not known. The turns
// of a lane come one after the other, so what stands before that chat in the
// conversation belongs to earlier turns.
func (l *Lanes) LastChat(ctx context.Context, lane string) (string, error) {
	id, err := l.rdb.Get(ctx, lastChatKey(lane)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("last chat of lane %s: %w", lane, err)
	}
	return id, nil
}

// leaveScript removes a member and answers with the head that is to be run now:
// the successor of a head that left, and the head, too, for a member that was
// gone before, as its first leaver may have died before it ran anyone. A member
// that left from the middle changes nobody's turn.
//
// KEYS: lane, last chat. ARGV: member, its chat or "", TTL of that.
var leaveScript = redis.NewScript(`
local rank = redis.call('ZRANK', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) end
if rank and rank > 0 then return '' end
return redis.call('ZRANGE', KEYS[1], 0, 0)[1] or ''`)

// Leave takes a task out of its lane and runs the one whose turn it is then.
func (l *Lanes) Leave(ctx context.Context, p Place) error { return l.LeaveAfter(ctx, p, "") }

// LeaveAfter is Leave for a task that had a chat: LastChat returns it until the next
// turn leaves, or for ten minutes. An empty chatID leaves that as it is.
func (l *Lanes) LeaveAfter(ctx context.Context, p Place, chatID string) error {
	next, err := leaveScript.Run(ctx, l.rdb, []string{laneKey(p.Lane), lastChatKey(p.Lane)},
		p.member(), chatID, int64(lastChatTTL/time.Second)).Text()
	if err != nil {
		return fmt.Errorf("leave lane %s: %w", p.Lane, results.KeyFault(laneKey(p.Lane), err))
	}
	if next == "" {
		return nil
	}
	return l.Run(ctx, placeOf(p.Lane, next))
}

// Run moves a task to pending. A task that is pending or active already, or that
// its producer has not enqueued yet, is left alone.
func (l *Lanes) Run(ctx context.Context, p Place) error {
	err := l.inspector.RunTask(p.Queue, p.ID)
	if errors.Is(err, asynq.ErrQueueNotFound) {
		// A client registers a queue once. A Redis that lost the registry since then
		// may hold the task all the same.
		if err := asynqx.Register(ctx, l.rdb, p.Queue); err != nil {
			return err
		}
		err = l.inspector.RunTask(p.Queue, p.ID)
	}
	if err == nil || errors.Is(err, asynq.ErrTaskNotFound) {
		return nil
	}
	// asynq has no sentinel for "already pending" and "already active". Either is
	// what was wanted, so look before this becomes an error.
	info, infoErr := l.inspector.GetTaskInfo(p.Queue, p.ID)
	if infoErr == nil && (info.State == asynq.TaskStatePending || info.State == asynq.TaskStateActive) {
		return nil
	}
	if errors.Is(infoErr, asynq.ErrTaskNotFound) {
		return nil
	}
	return fmt.Errorf("run task %s of lane %s: %w", p.ID, p.Lane, err)
}
