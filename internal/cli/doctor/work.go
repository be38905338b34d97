package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/queuestate"
	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// When a queue is in trouble: the alert of docs/operations.md on age, and asynq's own
// bound for tasks that failed, beyond which it drops the oldest.
const (
	agedAfter    = 10 * time.Minute
	archivedMost = 10_000
	archivedNear = archivedMost * 9 / 10
)

// work checks the workers and queues of a Redis, and what stops them.
func (d *doctor) work(ctx context.Context) []finding {
	rdb := d.remote.Client
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	servers, err := inspector.Servers()
	if err != nil {
		return []finding{failed("workers", redisFix(err), "cannot be listed: %v", err)}
	}
	served := map[string]service{}
	for _, s := range servers {
		if s.Status != "active" {
			continue
		}
		for q := range s.Queues {
			is := served[q]
			served[q] = service{is.processes + 1, is.idle + max(0, s.Concurrency-len(s.ActiveWorkers))}
		}
	}
	queues, waiting := d.queues(ctx, rdb, inspector, served)
	found := append([]finding{d.workers(ctx, rdb, servers, waiting)}, queues...)
	found = append(found, d.keyQueues(served)...)
	return append(found, d.pauses(ctx, rdb)...)
}

// service are the workers of a queue.
type service struct{ processes, idle int } // idle slots

func waitingText(n int) string {
	if n == 1 {
		return "1 question waits"
	}
	return terminal.Questions(n) + " wait"
}

// process is one worker process. To asynq it is several servers.
type process struct {
	host                string
	pid                 int
	concurrency, active int
	stopping            bool
	queues              []string
	beat                time.Time // the last
}

// beatLife is how long asynq takes a server for alive after its last beat.
const beatLife = 10 * time.Second

// workers lists the live processes. waiting is how many questions wait.
func (d *doctor) workers(ctx context.Context, rdb redis.UniversalClient, servers []*asynq.ServerInfo, waiting int) finding {
	const name = "workers"
	servers = slices.DeleteFunc(servers, func(s *asynq.ServerInfo) bool { return !asynqx.IsWorker(s) })
	if len(servers) == 0 {
		const fix = "start one with 'cozeq worker'"
		if waiting > 0 {
			return failed(name, fix, "none is alive; %s", waitingText(waiting))
		}
		return warned(name, fix+", or add --with-worker to run and ask", "none is alive")
	}
	beats := map[string]time.Time{}
	if scores, err := rdb.ZRangeWithScores(ctx, asynqx.ServersKey, 0, -1).Result(); err == nil {
		for _, z := range scores {
			if member, ok := z.Member.(string); ok {
				beats[member] = time.Unix(int64(z.Score), 0).Add(-beatLife)
			}
		}
	}
	var all []*process
	for _, s := range servers {
		i := slices.IndexFunc(all, func(p *process) bool { return p.host == s.Host && p.pid == s.PID })
		if i < 0 {
			i, all = len(all), append(all, &process{host: s.Host, pid: s.PID, queues: slices.Sorted(maps.Keys(s.Queues))})
		}
		p := all[i]
		p.concurrency, p.active = p.concurrency+s.Concurrency, p.active+len(s.ActiveWorkers)
		p.stopping = p.stopping || s.Status != "active"
		if beat := beats[asynqx.ServerKey(s.Host, s.PID, s.ID)]; beat.After(p.beat) {
			p.beat = beat
		}
	}
	stopping := 0
	shown := make([]string, len(all))
	for i, p := range all {
		shown[i] = p.String()
		if p.stopping {
			stopping++
		}
	}
	detail := fmt.Sprintf("%d alive: %s", len(all), strings.Join(shown, "; "))
	if stopping == len(all) && waiting > 0 {
		return warned(name, "start another one with 'cozeq worker'", "%s", detail)
	}
	return well(name, "%s", detail)
}

func (p *process) String() string {
	text := fmt.Sprintf("%s:%d serves %s, %d of %d at work", terminal.OneLine(p.host), p.pid, strings.Join(p.queues, " "), p.active, p.concurrency)
	if p.stopping {
		text += ", stopping"
	}
	if !p.beat.IsZero() {
		text += fmt.Sprintf(", last beat %d s ago", max(0, int(time.Since(p.beat).Seconds())))
	}
	return text
}

// queues checks each queue, and counts the questions that wait for a worker.
func (d *doctor) queues(ctx context.Context, rdb redis.UniversalClient, inspector *asynq.Inspector, served map[string]service) (found []finding, waiting int) {
	names, err := queuestate.Known(inspector)
	if err != nil {
		return []finding{failed("queue", redisFix(err), "cannot be listed: %v", err)}, 0
	}
	used, err := inspector.Queues()
	if err != nil {
		return []finding{failed("queue", redisFix(err), "cannot be listed: %v", err)}, 0
	}
	for _, queue := range names {
		q, err := queuestate.Read(ctx, rdb, queue, slices.Contains(used, queue))
		if err != nil {
			// asynq 0.26 cannot count a queue with a task in it whose hash is gone.
			found = append(found, failed(checkName("queue", queue), "see why Redis loses keys: eviction, FLUSHDB, fail-over; the tasks that are whole are served all the same",
				"cannot be counted, as when the data of a task in it are gone: %s", terminal.Short(err.Error(), 120)))
			continue
		}
		if queue != asynqx.Webhooks {
			waiting += q.Pending
		}
		f := queueFinding(q, served[queue].processes > 0)
		if f.Status == redischeck.OK {
			f = tenants(ctx, rdb, f, queue, served[queue])
		}
		found = append(found, f)
	}
	return found, waiting
}

// queueFinding is what is wrong with a queue, the gravest first.
func queueFinding(q queuestate.Queue, served bool) finding {
	name := checkName("queue", q.Queue)
	shown := fmt.Sprintf("%d pending, %d active, %d scheduled, %d in retry, %d archived", q.Pending, q.Active, q.Scheduled, q.Retry, q.Archived)
	age := time.Duration(q.OldestPending * float64(time.Second))
	if q.Pending > 0 {
		shown += ", the oldest since " + terminal.Rounded(age)
	}
	switch {
	case q.Paused != nil && len(q.Paused.Others) > 0:
		return warned(name, "see pause["+q.Paused.Credential+"]", "%s; paused by cozeq since %s for the workers of %s; those of %s continue",
			shown, since(q.Paused.Since), terminal.Plural(len(q.Paused.Credentials), "credential"), terminal.Plural(len(q.Paused.Others), "other"))
	case q.Paused != nil && q.Paused.By == queuestate.ByCozeq:
		return failed(name, "see pause["+q.Paused.Credential+"]", "%s; paused by cozeq since %s: Coze refuses everything", shown, since(q.Paused.Since))
	case q.Paused != nil:
		return warned(name, "cozeq queues resume "+q.Queue, "%s; paused by an operator since %s", shown, since(q.Paused.Since))
	case q.Queue == asynqx.Webhooks && q.Pending+q.Retry+q.Scheduled > 0 && !served:
		return failed(name, "start 'cozeq serve' with COZEQ_WEBHOOK_SECRETS_FILE", "%s; nobody delivers them", shown)
	case q.Queue == asynqx.Webhooks && q.Archived > 0:
		return warned(name, "see 'If it fails' in docs/webhooks.md", "%s: the archived ones were given up", shown)
	case q.Pending > 0 && !served:
		return failed(name, "start a worker that serves it: cozeq worker --queues "+q.Queue, "%s; no worker serves it", shown)
	case q.Archived >= archivedNear:
		return warned(name, "ask them again or delete them in the dashboard", "%s: of failed tasks asynq keeps %d, and drops the oldest", shown, archivedMost)
	case q.Pending > 0 && age > agedAfter:
		return warned(name, "see 'A queue that does not move' in docs/operations.md", "%s", shown)
	}
	return well(name, "%s", shown)
}

func since(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// pauses lists the pauses, and the rate that was learnt for each credential. Hashes show which credentials are set here.
func (d *doctor) pauses(ctx context.Context, rdb redis.UniversalClient) (found []finding) {
	limits, err := worker.Limits(ctx, rdb)
	if err != nil {
		return []finding{failed("limit", redisFix(err), "%v", err)}
	}
	served := map[string]bool{}
	for _, l := range limits {
		served[l.Credential] = l.Served
		found = append(found, limitFinding(l))
	}
	all, err := worker.Pauses(ctx, rdb)
	if err != nil {
		return append(found, failed("pause", redisFix(err), "%v", err))
	}
	for _, p := range all {
		found = append(found, pauseFinding(p, served[p.Credential]))
	}
	return found
}

func limitFinding(l worker.Limit) finding {
	rate, who := "not learnt yet", "served by a worker"
	if l.Rate > 0 {
		rate = fmt.Sprintf("%.3g calls a second as learnt", l.Rate)
	}
	if !l.Served {
		who = "no worker has it now"
	}
	return well(checkName("limit", l.Credential), "%s, %s", rate, who)
}

// pauseFinding is a failure as long as a worker has the credential. The pause of a credential that no worker has ends by
// itself.
func pauseFinding(p worker.Pause, served bool) finding {
	subject := p.Credential
	if p.BotID != "" {
		subject += " bot " + terminal.Short(p.BotID, 64)
	}
	name := checkName("pause", subject)
	shown := fmt.Sprintf("%s since %s: %s", pausewatch.Cause(p), since(p.Since), terminal.Short(p.Message, 200))
	if p.Aside > 0 {
		shown += fmt.Sprintf("; %s parked", terminal.Questions(int(p.Aside)))
	}
	if !served {
		return well(name, "%s; no worker has the credential now, so it ends by itself", shown)
	}
	fix := "then cozeq queues resume NAME, to probe at once"
	if p.Hint != "" {
		fix = p.Hint + " Then cozeq queues resume NAME, to probe at once."
	}
	return failed(name, fix, "%s; next probe %s", shown, since(p.NextProbe))
}
