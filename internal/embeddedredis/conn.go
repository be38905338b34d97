package embeddedredis

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// maxUnread bounds the bytes that one side of a connection leaves unread: past it the connection is closed, as Redis
// closes a subscriber that stopped reading. 256 MiB is far above any reply or pipeline of ours.
const maxUnread = 256 << 20

// conn is one end of an in-memory connection whose writes never block.
//
// net.Pipe would deadlock here. It has no buffer, and miniredis answers each command of a pipeline before it takes
// the next: with a pipeline larger than the server's 4 KiB read buffer, the client is still writing while the server
// waits for somebody to read its first answer. In the same way one subscriber that is slow to read would stop every
// publisher, and with it the store, as miniredis publishes under its one lock. Sockets hide both behind the kernel's
// buffers; conn has its own.
type conn struct {
	in  *queue // what the other end wrote
	out *queue // what the other end will read
}

func newConn() (client, server *conn) {
	up, down := newQueue(), newQueue()
	return &conn{in: down, out: up}, &conn{in: up, out: down}
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close ends both directions. The other end may still read what was written before.
func (c *conn) Close() error {
	c.in.abandon()
	c.out.finish()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return addr{} }
func (c *conn) RemoteAddr() net.Addr { return addr{} }

func (c *conn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error { c.in.setDeadline(t); return nil }

// SetWriteDeadline does nothing: a write never waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// addr is the address of both ends.
type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "embeddedredis" }

// queue is one direction of a connection.
type queue struct {
	mu        sync.Mutex
	changed   *sync.Cond // on mu: bytes came, an end closed, the deadline passed
	buf       bytes.Buffer
	finished  bool // the writer closed: io.EOF after the last byte
	abandoned bool // the reader closed: writes fail
	deadline  time.Time
	alarm     *time.Timer // wakes readers at the deadline
}

func newQueue() *queue {
	q := new(queue)
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *queue) read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.abandoned:
			return 0, net.ErrClosed
		case !q.deadline.IsZero() && !time.Now().Before(q.deadline):
			return 0, os.ErrDeadlineExceeded
		case q.buf.Len() > 0:
			n, _ := q.buf.Read(p)
			// A drained buffer that one large reply made large is given back: a pool holds dozens of these.
			if q.buf.Len() == 0 && q.buf.Cap() > 64<<10 {
				q.buf = bytes.Buffer{}
			}
			return n, nil
		case q.finished:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		q.changed.Wait()
	}
}

func (q *queue) write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished || q.abandoned {
		return 0, io.ErrClosedPipe
	}
	if q.buf.Len()+len(p) > maxUnread {
		q.finished = true
		q.changed.Broadcast()
		return 0, io.ErrShortWrite
	}
	q.buf.Write(p)
	q.changed.Broadcast()
	return len(p), nil
}

// finish is the writer's close.
func (q *queue) finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finished = true
	q.changed.Broadcast()
}

// abandon is the reader's close.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.abandoned = true
	q.buf = bytes.Buffer{}
	if q.alarm != nil {
		q.alarm.Stop()
	}
	q.changed.Broadcast()
}

func (q *queue) setDeadline(t time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned {
		return
	}
	q.deadline = t
	switch {
	case t.IsZero():
		if q.alarm != nil {
			q.alarm.Stop()
		}
	case q.alarm == nil:
		q.alarm = time.AfterFunc(time.Until(t), q.wake)
	default:
		q.alarm.Reset(time.Until(t))
	}
	q.changed.Broadcast()
}

func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed.Broadcast()
}
