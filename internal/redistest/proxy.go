package redistest

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Proxy stands between a client and a [Server] and makes the way longer.
type Proxy struct {
	network, target string
	delay           time.Duration // one way
	listener        net.Listener
	client          *redis.Client

	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once the proxy is closed
}

// Delay puts a proxy before the server that adds rtt to each round trip, half of it on each way, without limiting how
// much is under way at once, as distance does. It ends with the test.
func (s *Server) Delay(rtt time.Duration) *Proxy {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatalf("start a proxy: %v", err)
	}
	o := s.options(s.Addr())
	p := &Proxy{network: o.Network, target: o.Addr, delay: rtt / 2, listener: l, conns: map[net.Conn]struct{}{}}
	p.client = redis.NewClient(s.options(p.Addr()))
	p.wg.Go(p.accept)
	s.t.Cleanup(p.close)
	return p
}

func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) URL() string { return "redis://" + p.Addr() + "/0" }

// Client returns a client that goes through the proxy, the same at each call. It is closed with the test.
func (p *Proxy) Client() redis.UniversalClient { return p.client }

// Break closes the connections that are open now; new ones are served. It is a network that dropped for a moment.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *Proxy) close() {
	p.client.Close()
	p.listener.Close()
	p.Break()
	p.mu.Lock()
	p.conns = nil
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the peer was gone before it was accepted
		}
		far, err := net.Dial(p.network, p.target)
		if err != nil {
			near.Close() // a server that is down: the client sees a dropped connection
			continue
		}
		if !p.keep(near, far) {
			return
		}
		p.wg.Go(func() { p.carry(far, near) })
		p.wg.Go(func() { p.carry(near, far) })
	}
}

// keep notes both ends, or closes them when the proxy is closed.
func (p *Proxy) keep(ends ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range ends {
		if p.conns == nil {
			c.Close()
			continue
		}
		p.conns[c] = struct{}{}
	}
	return p.conns != nil
}

// parcel is a piece of what one end wrote.
type parcel struct {
	data []byte
	due  time.Time
}

// carry moves bytes from src to dst, each piece p.delay after it came, until either end closes.
func (p *Proxy) carry(dst, src net.Conn) {
	road := make(chan parcel, 1024) // so many pieces of at most 32 KiB are under way before the sender has to wait
	p.wg.Go(func() {
		defer p.drop(dst)
		for parcel := range road {
			time.Sleep(time.Until(parcel.due))
			if _, err := dst.Write(parcel.data); err != nil {
				break
			}
		}
		p.drop(src) // ends the reading below, which ends the road
		for range road {
		}
	})
	defer close(road)
	for {
		buf := make([]byte, 32<<10)
		n, err := src.Read(buf)
		if n > 0 {
			road <- parcel{buf[:n], time.Now().Add(p.delay)}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Close()
	delete(p.conns, c)
}
