package asynqx

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// peekEvery is how often an idle process looks whether a queue has work. It bounds the pickup latency and costs 40 small
// reads a second for each process, whatever the number of its Servers and queues. A busy process does not look. Most
// pickups are faster: see listen.
const peekEvery = 25 * time.Millisecond

// emptyFor is how long a queue that was found empty is not asked again. asynq asks its queues one after the other, those of
// more weight mostly first. While all the work is in the default queue, every other query would go to the critical one and
// find nothing.
const emptyFor = 10 * time.Millisecond

// Gate makes asynq's polling both fast and cheap. asynq alone sleeps for a fixed interval when all queues of a Server are
// empty, and then asks each of them again: eight Servers of three queues at 20 ms run 1,200 scripts a second for nothing.
// With a Gate a Server's last query does not return while its queues are empty. One goroutine for all Servers looks at the
// queues and wakes one of them when there is work. A Server that got a task wakes the next one. So a burst wakes as many as
// it needs, and a single task wakes one.
//
// The Gate also decides which pauses of a queue concern this worker, and which tenant's turn it is: it runs asynq's scripts
// behind dequeue.lua and forward.lua.
//
// It recognises asynq's scripts by their keys (pending, paused, active, lease of one queue; scheduled or retry, pending;
// asynq v0.26). If a later version used other keys, idle workers would poll, and a pause of one credential would stop the
// workers of all. TestPauseOfAnotherCredential would fail then.
type Gate struct {
	rdb    redis.UniversalClient
	Queues []string
	Every  time.Duration // how often an idle process looks
	cutOff func() bool   // this process cannot reach Coze: other processes go first

	credentials atomic.Pointer[[]string] // of this worker; nil: not known yet, so every pause holds
	take        extended                 // asynq's dequeue script behind dequeue.lua
	forward     extended                 // asynq's script for what falls due behind forward.lua

	mu         sync.Mutex
	waiting    int                  // Servers that wait for work
	holdUntil  time.Time            // nothing is taken before
	yieldUntil time.Time            // other processes go first until then
	empty      map[string]time.Time // by asynq's key of a pending list: when it was found empty
	idle       chan struct{}        // capacity 1: the first Server waits
	wake       chan struct{}        // one token wakes one Server
	closed     chan struct{}
	once       sync.Once
}

func NewGate(rdb redis.UniversalClient, queues []string, cutOff func() bool) *Gate {
	return &Gate{
		rdb:     rdb,
		Queues:  queues,
		Every:   peekEvery,
		cutOff:  cutOff,
		take:    extended{text: behind("dequeue.lua")},
		forward: extended{text: behind("forward.lua")},
		empty:   make(map[string]time.Time),
		idle:    make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		closed:  make(chan struct{}),
	}
}

// Close lets all waiting Servers go, because asynq's shutdown waits for them. Nothing is taken from then on: otherwise a
// Server that still stops would take what another one has just put back.
func (g *Gate) Close() { g.once.Do(func() { close(g.closed) }) }

func (g *Gate) Client() redis.UniversalClient {
	return &gatedClient{UniversalClient: g.rdb, gate: g}
}

func (g *Gate) wait() {
	g.mu.Lock()
	g.waiting++
	first := g.waiting == 1
	g.mu.Unlock()
	if first {
		notify(g.idle)
	}
	select {
	case <-g.wake:
	case <-g.closed:
	}
	g.mu.Lock()
	g.waiting--
	g.mu.Unlock()
}

// wakeNext wakes one more Server, if one waits, after work was found.
func (g *Gate) wakeNext() {
	g.mu.Lock()
	waiting := g.waiting > 0
	g.mu.Unlock()
	if waiting {
		notify(g.wake)
	}
}

func (g *Gate) Serves(credentials []string) { g.credentials.Store(&credentials) }

func (g *Gate) served() []string {
	if credentials := g.credentials.Load(); credentials != nil {
		return *credentials
	}
	return nil
}

// isEmpty reports whether a queue was found empty just now. To a closed gate all are.
func (g *Gate) isEmpty(pending string) bool {
	select {
	case <-g.closed:
		return true
	default:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.empty[pending]
	return ok && time.Since(at) < emptyFor
}

func (g *Gate) foundEmpty(pending string) {
	g.mu.Lock()
	g.empty[pending] = time.Now()
	g.mu.Unlock()
}

// Hold takes nothing out of the queues for d, because it would only be put back.
func (g *Gate) Hold(d time.Duration) {
	g.mu.Lock()
	g.holdUntil = time.Now().Add(d)
	g.mu.Unlock()
}

func (g *Gate) waitHold() {
	g.mu.Lock()
	d := time.Until(g.holdUntil)
	g.mu.Unlock()
	if d > 0 {
		g.sleep(d)
	}
}

const (
	yieldFor  = 10 * time.Minute // how long other processes go first
	yieldWait = 3 * peekEvery    // their lead at each task; an idle process takes a task up within peekEvery
)

// YieldToPeers lets other processes go first for yieldFor: the tasks in the queues may be for them only.
func (g *Gate) YieldToPeers() {
	g.mu.Lock()
	g.yieldUntil = time.Now().Add(yieldFor)
	g.mu.Unlock()
}

func (g *Gate) yield() {
	g.mu.Lock()
	yields := time.Now().Before(g.yieldUntil)
	g.mu.Unlock()
	if yields || g.cutOff() {
		g.sleep(yieldWait)
	}
}

// sleep waits, until the gate is closed at the latest.
func (g *Gate) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.closed:
	}
}

// workChannel gets a message when an empty queue gets a task: see enqueue.lua.
func workChannel(queue string) string { return "cozeq:queue:{" + queue + "}:work" }

// listen wakes a Server when an empty queue gets a task from Bulk. Peeking finds tasks that come otherwise (a retry that is
// due, a turn of a conversation, another client of asynq's) and those whose message was lost with the connection.
func (g *Gate) listen(messages <-chan *redis.Message) {
	for range messages {
		g.mu.Lock()
		clear(g.empty)
		g.mu.Unlock()
		g.wakeNext()
	}
}

// Watch wakes Servers when there is work, until the gate is closed or ctx ends.
func (g *Gate) Watch(ctx context.Context) {
	channels := make([]string, len(g.Queues))
	for i, queue := range g.Queues {
		channels[i] = workChannel(queue)
	}
	sub := g.rdb.Subscribe(ctx, channels...)
	messages := sub.Channel()
	var listening sync.WaitGroup
	listening.Go(func() { g.listen(messages) })
	defer listening.Wait()
	defer sub.Close()

	tick := time.NewTicker(g.Every)
	defer tick.Stop()
	for {
		g.mu.Lock()
		waiting := g.waiting > 0
		g.mu.Unlock()
		if !waiting {
			select {
			case <-ctx.Done():
				return
			case <-g.closed:
				return
			case <-g.idle:
				continue
			}
		}
		// An error opens the gate too: asynq's own query then reports it.
		if work, err := g.peek(ctx); err != nil || work {
			g.mu.Lock()
			clear(g.empty)
			g.mu.Unlock()
			notify(g.wake)
		}
		select {
		case <-ctx.Done():
			return
		case <-g.closed:
			return
		case <-tick.C:
		}
	}
}

// peek reports whether a queue that this worker may take from has pending tasks: one
// round trip, also in a cluster.
func (g *Gate) peek(ctx context.Context) (bool, error) {
	fields := []string{"stamp"}
	for _, credential := range g.served() {
		fields = append(fields, credentialField(credential))
	}
	pending := make([]*redis.IntCmd, len(g.Queues))
	paused := make([]*redis.StringCmd, len(g.Queues))
	notes := make([]*redis.SliceCmd, len(g.Queues))
	_, err := g.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, queue := range g.Queues {
			pending[i] = p.Exists(ctx, Key(queue, "pending"), ringKey(queue))
			paused[i] = p.Get(ctx, Key(queue, "paused"))
			notes[i] = p.HMGet(ctx, queuePauseKey(queue), fields...)
		}
		return nil
	})
	if err != nil && err != redis.Nil {
		return false, err
	}
	for i := range g.Queues {
		if pending[i].Val() > 0 && isOpen(paused[i].Val(), notes[i].Val()) {
			return true, nil
		}
	}
	return false, nil
}

// isOpen decides as dequeue.lua does. note has the stamp and a value for each credential of this worker.
func isOpen(stamp string, note []any) bool {
	if stamp == "" {
		return true
	}
	return note[0] == any(stamp) && slices.ContainsFunc(note[1:], func(held any) bool { return held == nil || held == any(probeDue) })
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// gatedClient is the client of one Server. Only the one goroutine of the Server that dequeues uses empty.
type gatedClient struct {
	redis.UniversalClient
	gate  *Gate
	empty int // queues found empty in a row
}

func (c *gatedClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if cmd := c.extended(ctx, "", keys, args); cmd != nil {
		return cmd
	}
	return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
}

func (c *gatedClient) Eval(ctx context.Context, text string, keys []string, args ...any) *redis.Cmd {
	if cmd := c.extended(ctx, text, keys, args); cmd != nil {
		return cmd
	}
	return c.UniversalClient.Eval(ctx, text, keys, args...)
}

// extended runs the scripts that have ours around them; nil: it is another one.
func (c *gatedClient) extended(ctx context.Context, text string, keys []string, args []any) *redis.Cmd {
	switch {
	case isDequeue(keys):
		if script := c.gate.take.learn(text); script != nil {
			return c.dequeue(ctx, script, keys, args)
		}
		return unseen(ctx)
	case isForward(keys):
		return c.gate.forward.run(ctx, c.UniversalClient, text, ringKeys(keys, queueOf(keys[1])), args)
	}
	return nil
}

func (c *gatedClient) dequeue(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	c.before()
	pending := keys[0]
	var cmd *redis.Cmd
	if c.gate.isEmpty(pending) {
		cmd = redis.NewCmd(ctx)
		cmd.SetErr(redis.Nil)
	} else if cmd = c.run(ctx, script, keys, args); cmd.Err() == redis.Nil {
		c.gate.foundEmpty(pending)
	} else if raw, err := cmd.Text(); err == nil && !belongs(raw, pending) {
		cmd.SetErr(redis.Nil) // the sweep removes it: see poison.go
	}
	c.after(cmd)
	return cmd
}

func (c *gatedClient) run(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	queue := queueOf(keys[0])
	keys = ringKeys(append(slices.Clip(keys), queuePauseKey(queue), keys[1]+":never"), queue)
	args = slices.Clip(args)
	for _, credential := range c.gate.served() {
		args = append(args, credential)
	}
	return script.Run(ctx, c.UniversalClient, keys, args...)
}

// before waits while nothing may be taken, or other processes go first.
func (c *gatedClient) before() {
	c.gate.waitHold()
	if c.empty == 0 {
		c.gate.yield()
	}
}

func (c *gatedClient) after(cmd *redis.Cmd) {
	switch cmd.Err() {
	case nil:
		c.empty = 0
		c.gate.wakeNext()
	case redis.Nil:
		if c.empty++; c.empty >= len(c.gate.Queues) {
			c.empty = 0
			c.gate.wait()
		}
	}
}

func isDequeue(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused") &&
		strings.HasSuffix(keys[2], ":active") && strings.HasSuffix(keys[3], ":lease")
}

func isForward(keys []string) bool {
	return len(keys) == 2 && strings.HasSuffix(keys[1], "}:pending") &&
		(strings.HasSuffix(keys[0], "}:scheduled") || strings.HasSuffix(keys[0], "}:retry"))
}
