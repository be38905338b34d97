package httpserver

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/settings"
)

// Few clients look at such a server: probes, scrapers and people. The process needs its descriptors for chats. These bounds hold
// what a client may take of it.
const (
	headerTimeout = 5 * time.Second  // a connection that sends nothing, or slowly
	readTimeout   = 30 * time.Second // a request with its body
	writeTimeout  = time.Minute      // an answer to a slow reader, from the end of its request's header
	idleTimeout   = 75 * time.Second // between two requests: Prometheus asks once a minute
	headerBytes   = 64 << 10

	mostConnections  = 64
	leastConnections = 4

	// mostClients is for an API: 10,000 event streams, and as many again to come and go. One takes about 30 KiB.
	mostClients = 20_000
)

// connectionsFor is how many connections the server may have if the process needs so many descriptors for its work. Go raises
// the soft limit to the hard one at start.
func connectionsFor(limit, needed, most uint64) int {
	if limit <= needed+leastConnections {
		return leastConnections
	}
	return int(min(most, limit-needed))
}

// descriptorsOf is how many descriptors a worker needs: one a chat, two pools of Redis (the
// dashboard has one of its own), and some for subscriptions, files and the runtime.
func descriptorsOf(concurrency int) uint64 {
	return uint64(concurrency) + 2*uint64(settings.PoolSize(concurrency)) + 32
}

// boundedListener accepts no more than most connections at a time. When all are taken, it closes the one that has been idle
// longest: a client that keeps connections open must not keep a health check out. If none is idle, new connections wait in
// the kernel's queue, where they take no descriptor. The server's timeouts bound that wait.
type boundedListener struct {
	net.Listener
	most int

	mu     sync.Mutex
	change *sync.Cond
	idle   []net.Conn // longest first
	open   int
	closed bool
}

func bounded(l net.Listener, most int) *boundedListener {
	b := &boundedListener{Listener: l, most: most}
	b.change = sync.NewCond(&b.mu)
	return b
}

func (b *boundedListener) Accept() (net.Conn, error) {
	if !b.take() {
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		b.release(nil)
		return nil, err
	}
	return &boundedConn{Conn: conn, listener: b}, nil
}

// take waits for a free place; false: the listener is closed.
func (b *boundedListener) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed && b.open >= b.most {
		if len(b.idle) == 0 {
			b.change.Wait()
			continue
		}
		longest := b.idle[0]
		b.mu.Unlock()
		longest.Close() // takes it out of the list
		b.mu.Lock()
	}
	if b.closed {
		return false
	}
	b.open++
	return true
}

func (b *boundedListener) release(conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	b.forget(conn)
	b.change.Broadcast()
}

// forget takes a connection out of those that are idle. b.mu is held.
func (b *boundedListener) forget(conn net.Conn) {
	for i, c := range b.idle {
		if c == conn {
			b.idle = append(b.idle[:i], b.idle[i+1:]...)
			return
		}
	}
}

func (b *boundedListener) state(conn net.Conn, s http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(conn)
	if c, ok := conn.(*boundedConn); ok && s == http.StateIdle && !c.closed {
		b.idle = append(b.idle, conn)
		b.change.Broadcast()
	}
}

func (b *boundedListener) Close() error {
	b.mu.Lock()
	b.closed = true
	b.change.Broadcast()
	b.mu.Unlock()
	return b.Listener.Close()
}

type boundedConn struct {
	net.Conn
	listener *boundedListener
	closed   bool // listener.mu guards it
}

// Close implements net.Conn. The server and the listener may both close a connection.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.listener.mu.Lock()
	first := !c.closed
	c.closed = true
	c.listener.mu.Unlock()
	if first {
		c.listener.release(c)
	}
	return err
}
