package asynqx

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// peekEvery is how often an idle process looks whether a queue has work. It bounds the pickup latency and costs 40 small
// reads a second for each process, whatever the number of its Servers and queues. A busy process does not look. Most
// pickups are faster: see listen.
const peekEvery = 25 * time.Millisecond

// emptyFor is how long a queue that was found empty is not asked again. asynq asks its queues one after the other, those of
// more weight mostly first. While all the work is in the default queue, every other query would go to the critical one and
// find nothing. A longer time would show: a due retry, and a task of another client of asynq's, are found by asking alone.
const emptyFor = peekEvery

// Poller makes asynq's polling both fast and cheap. asynq alone sleeps for a fixed interval when all queues of a Server are
// empty, and then asks each of them again: eight Servers of three queues at 20 ms run 1,200 scripts a second for nothing.
// With a Poller a Server's last query does not return while its queues are empty. One goroutine for all Servers looks at the
// queues and wakes one of them when there is work. A Server that got a task wakes the next one. So a burst wakes as many as
// it needs, and a single task wakes one.
//
// The Poller also decides which pauses of a queue concern this worker, and which tenant's turn it is: it runs asynq's scripts
// behind dequeue.lua and forward.lua.
//
// It recognises asynq's scripts by their keys (pending, paused, active, lease of one queue; scheduled or retry, pending;
// asynq v0.26). If a later version used other keys, idle workers would poll, and a pause of one credential would stop the
// workers of all. TestPauseOfAnotherCredential would fail then.
type Poller struct {
	rdb    redis.UniversalClient
	Queues []string
	Every  time.Duration // how often an idle process looks
	cutOff func() bool   // this process cannot reach Coze: other processes go first

	credentials atomic.Pointer[[]string] // of this worker; nil: not known yet, so every pause holds
	take        extended                 // asynq's dequeue script behind dequeue.lua
	forward     extended                 // asynq's script for what falls due behind forward.lua

	mu             sync.Mutex
	waiting        int                  // Servers that wait for work
	suspendedUntil time.Time            // nothing is taken before
	yieldUntil     time.Time            // other processes go first until then
	empty          map[string]time.Time // by asynq's key of a pending list: when it was found empty
	idle           chan struct{}        // capacity 1: the first Server waits
	wake           chan struct{}        // one token wakes one Server
	closed         chan struct{}
	once           sync.Once
}

func NewPoller(rdb redis.UniversalClient, queues []string, cutOff func() bool) *Poller {
	return &Poller{
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
func (p *Poller) Close() { p.once.Do(func() { close(p.closed) }) }

func (p *Poller) Client() redis.UniversalClient {
	return &pollingClient{UniversalClient: p.rdb, poller: p}
}

func (p *Poller) wait() {
	p.mu.Lock()
	p.waiting++
	first := p.waiting == 1
	p.mu.Unlock()
	if first {
		notify(p.idle)
	}
	select {
	case <-p.wake:
	case <-p.closed:
	}
	p.mu.Lock()
	p.waiting--
	p.mu.Unlock()
}

// wakeNext wakes one more Server, if one waits, after work was found.
func (p *Poller) wakeNext() {
	if p.anyWaits() {
		notify(p.wake)
	}
}

func (p *Poller) anyWaits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting > 0
}

// foundWork forgets which queues were empty, and wakes a Server.
func (p *Poller) foundWork() {
	p.mu.Lock()
	clear(p.empty)
	p.mu.Unlock()
	p.wakeNext()
}

func (p *Poller) Serves(credentials []string) { p.credentials.Store(&credentials) }

func (p *Poller) served() []string {
	if credentials := p.credentials.Load(); credentials != nil {
		return *credentials
	}
	return nil
}

// isEmpty reports whether a queue was found empty just now. To a closed Poller all are.
func (p *Poller) isEmpty(pending string) bool {
	select {
	case <-p.closed:
		return true
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.empty[pending]
	return ok && time.Since(at) < emptyFor
}

func (p *Poller) foundEmpty(pending string) {
	p.mu.Lock()
	p.empty[pending] = time.Now()
	p.mu.Unlock()
}

// Suspend takes nothing out of the queues for d, because it would only be put back.
func (p *Poller) Suspend(d time.Duration) {
	p.mu.Lock()
	p.suspendedUntil = time.Now().Add(d)
	p.mu.Unlock()
}

func (p *Poller) waitSuspended() {
	p.mu.Lock()
	d := time.Until(p.suspendedUntil)
	p.mu.Unlock()
	if d > 0 {
		p.sleep(d)
	}
}

const (
	yieldFor  = 10 * time.Minute // how long other processes go first
	yieldWait = 3 * peekEvery    // their lead at each task; an idle process takes a task up within peekEvery
)

// YieldToPeers lets other processes go first for yieldFor: the tasks in the queues may be for them only.
func (p *Poller) YieldToPeers() {
	p.mu.Lock()
	p.yieldUntil = time.Now().Add(yieldFor)
	p.mu.Unlock()
}

func (p *Poller) yield() {
	p.mu.Lock()
	yields := time.Now().Before(p.yieldUntil)
	p.mu.Unlock()
	if yields || p.cutOff() {
		p.sleep(yieldWait)
	}
}

// sleep waits, until the Poller is closed at the latest.
func (p *Poller) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.closed:
	}
}

// listen wakes a Server when an empty queue gets a task from Bulk. Peeking finds tasks that come otherwise (a retry that is
// due, a turn of a conversation, another client of asynq's) and those whose message was lost with the connection.
func (p *Poller) listen(messages <-chan *redis.Message) {
	for range messages {
		p.foundWork()
	}
}

// Watch wakes Servers when there is work, until the Poller is closed or ctx ends.
func (p *Poller) Watch(ctx context.Context) {
	channels := make([]string, len(p.Queues))
	for i, queue := range p.Queues {
		channels[i] = rediskey.QueueWork(queue)
	}
	sub := p.rdb.Subscribe(ctx, channels...)
	messages := sub.Channel()
	var listening sync.WaitGroup
	listening.Go(func() { p.listen(messages) })
	defer listening.Wait()
	defer sub.Close()

	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	for {
		if !p.anyWaits() {
			select {
			case <-ctx.Done():
				return
			case <-p.closed:
				return
			case <-p.idle:
				continue
			}
		}
		// An error wakes one, too: asynq's own query then reports it.
		if work, err := p.peek(ctx); err != nil || work {
			p.foundWork()
		}
		select {
		case <-ctx.Done():
			return
		case <-p.closed:
			return
		case <-tick.C:
		}
	}
}

// peek reports whether a queue that this worker may take from has pending tasks: one
// round trip, also in a cluster.
func (p *Poller) peek(ctx context.Context) (bool, error) {
	fields := []string{"stamp"}
	for _, credential := range p.served() {
		fields = append(fields, credentialField(credential))
	}
	pending := make([]*redis.IntCmd, len(p.Queues))
	paused := make([]*redis.StringCmd, len(p.Queues))
	notes := make([]*redis.SliceCmd, len(p.Queues))
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, queue := range p.Queues {
			pending[i] = pipe.Exists(ctx, Key(queue, "pending"), rediskey.QueueTenants(queue))
			paused[i] = pipe.Get(ctx, Key(queue, "paused"))
			notes[i] = pipe.HMGet(ctx, rediskey.QueuePaused(queue), fields...)
		}
		return nil
	})
	if err != nil && err != redis.Nil {
		return false, err
	}
	for i := range p.Queues {
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

// pollingClient is the client of one Server. Only the one goroutine of the Server that dequeues uses empty.
type pollingClient struct {
	redis.UniversalClient
	poller *Poller
	empty  int // queues found empty in a row
}

func (c *pollingClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if cmd := c.extended(ctx, "", keys, args); cmd != nil {
		return cmd
	}
	return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
}

func (c *pollingClient) Eval(ctx context.Context, text string, keys []string, args ...any) *redis.Cmd {
	if cmd := c.extended(ctx, text, keys, args); cmd != nil {
		return cmd
	}
	return c.UniversalClient.Eval(ctx, text, keys, args...)
}

// extended runs the scripts that have ours around them; nil: it is another one.
func (c *pollingClient) extended(ctx context.Context, text string, keys []string, args []any) *redis.Cmd {
	switch {
	case isDequeue(keys):
		if script := c.poller.take.learn(text); script != nil {
			return c.dequeue(ctx, script, keys, args)
		}
		return unseen(ctx)
	case isForward(keys):
		return c.poller.forward.run(ctx, c.UniversalClient, text, ringKeys(keys, queueOf(keys[1])), args)
	}
	return nil
}

func (c *pollingClient) dequeue(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	c.before()
	pending := keys[0]
	var cmd *redis.Cmd
	if c.poller.isEmpty(pending) {
		cmd = redis.NewCmd(ctx)
		cmd.SetErr(redis.Nil)
	} else if cmd = c.run(ctx, script, keys, args); cmd.Err() == redis.Nil {
		c.poller.foundEmpty(pending)
	} else if raw, err := cmd.Text(); err == nil && !belongs(raw, pending) {
		cmd.SetErr(redis.Nil) // the sweep removes it: see poison.go
	}
	c.after(cmd)
	return cmd
}

func (c *pollingClient) run(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	queue := queueOf(keys[0])
	keys = ringKeys(append(slices.Clip(keys), rediskey.QueuePaused(queue), keys[1]+":never"), queue)
	args = slices.Clip(args)
	for _, credential := range c.poller.served() {
		args = append(args, credential)
	}
	return script.Run(ctx, c.UniversalClient, keys, args...)
}

// before waits while nothing may be taken, or other processes go first.
func (c *pollingClient) before() {
	c.poller.waitSuspended()
	if c.empty == 0 {
		c.poller.yield()
	}
}

func (c *pollingClient) after(cmd *redis.Cmd) {
	switch cmd.Err() {
	case nil:
		c.empty = 0
		c.poller.wakeNext()
	case redis.Nil:
		if c.empty++; c.empty >= len(c.poller.Queues) {
			c.empty = 0
			c.poller.wait()
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
