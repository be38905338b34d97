package embeddedredis

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errClosed is the error of a connection asked for after [Store.Close].
var errClosed = errors.New("embedded redis is closed")

// Store is an embedded Redis. Its data lives as long as the Store.
type Store struct {
	mini   *miniredis.Miniredis
	server *server.Server
	client *redis.Client

	stopClock context.CancelFunc
	clock     sync.WaitGroup

	mu     sync.Mutex // makes dial and Close exclusive: a connection served after Close would never end
	closed bool
}

// Option is a setting of [Start].
type Option func(*redis.Options)

// PoolSize is the number of connections that the store's client keeps at most, besides one for each subscription.
// A blocking read (XREAD BLOCK) holds one while it waits. The default is ten for each CPU, at least 32.
func PoolSize(n int) Option {
	return func(o *redis.Options) { o.PoolSize = n }
}

// Start starts an embedded Redis. It opens no port and writes no file.
func Start(opts ...Option) (*Store, error) {
	s := &Store{mini: miniredis.NewMiniRedis()}

	// The first Dial starts a miniredis without a listener; its connection is a net.Pipe, which conn explains away.
	first, err := s.mini.Dial()
	if err != nil {
		return nil, err
	}
	s.server = s.mini.Server()
	if err := first.Close(); err != nil {
		return nil, err
	}
	versions, err := versionsOf(s.mini)
	if err != nil {
		return nil, err
	}
	if err := takeScripts(s.mini, s.server, versions); err != nil {
		return nil, err
	}

	o := &redis.Options{
		Addr:     addr{}.String(),
		Dialer:   func(context.Context, string, string) (net.Conn, error) { return s.dial() },
		PoolSize: max(32, 10*runtime.GOMAXPROCS(0)),
		// There is no network to blame: a command that fails has failed, and one that is slow (a busy machine, a
		// large script) is not sent a second time.
		MaxRetries:            -1,
		DialerRetries:         1,
		ReadTimeout:           time.Minute,
		ContextTimeoutEnabled: true,
		// miniredis has neither CLIENT SETINFO nor maintenance notifications: do not ask at each connection.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	for _, opt := range opts {
		opt(o)
	}
	s.client = redis.NewClient(o)

	ctx, cancel := context.WithCancel(context.Background())
	s.stopClock = cancel
	s.clock.Go(func() { runClock(ctx, s.mini, versions) })
	return s, nil
}

// Client returns the store's one client, shared by all callers. Close of the store closes it; callers don't.
func (s *Store) Client() redis.UniversalClient { return s.client }

// Close ends the store and its client; what it held is gone. Commands in progress, blocking ones too, end with an
// error. It is safe to call more than once.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()

	s.stopClock()
	s.clock.Wait()
	err := s.client.Close()

	// miniredis wakes its blocked commands without holding its lock, so one that is about to wait can miss the call
	// and keep Close waiting forever. Cancel first, then FlushAll, which wakes them under the lock: whoever waits
	// then is woken, whoever does not wait yet finds the context done.
	s.mini.CtxCancel()
	s.mini.FlushAll()
	s.mini.Close()
	return err
}

func (s *Store) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	client, srv := newConn()
	s.server.ServeConn(srv)
	return client, nil
}
