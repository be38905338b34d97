package results_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

// road is the way of a client to its server; it can be closed.
type road struct {
	mu   sync.Mutex
	open chan struct{} // closed while new connections are made
}

func newRoad() *road {
	r := &road{open: make(chan struct{})}
	close(r.open)
	return r
}

func (r *road) block() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

func (r *road) unblock() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.open)
}

func (r *road) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	select {
	case <-open:
		return net.Dial(network, addr)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// The task ends while its waiter has no connection: the look at the record after
// the next subscription finds it.
func TestEndWhileDisconnected(t *testing.T) {
	server := redistest.Start(t)
	writer := tasktest.NewStore(t, server.Client())
	tasktest.Create(t, writer, "t1", "t2")
	proxy := server.Delay(0)
	way := newRoad()
	rdb := redis.NewClient(&redis.Options{Addr: proxy.Addr(), Dialer: way.dial, DialerRetryTimeout: 1})
	t.Cleanup(func() { rdb.Close() })
	read := make(chan struct{}, 100)
	rdb.AddHook(reads{after: func(int) { read <- struct{}{} }})
	s := tasktest.NewStore(t, rdb)

	w, err := s.NewWaiter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(t.Context(), "t1", "t2"); err != nil {
		t.Fatal(err)
	}
	<-read
	way.block()
	proxy.Break()
	tasktest.Answer(t, writer, "t1", "yes")
	way.unblock()
	if r, err := w.Next(t.Context()); err != nil || r.ID != "t1" || r.Answer != "yes" {
		t.Fatalf("got %+v, %v", r, err)
	}
	// The new subscription holds: what ends now is heard.
	tasktest.Answer(t, writer, "t2", "yes")
	if r, err := w.Next(t.Context()); err != nil || r.ID != "t2" || r.Answer != "yes" {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestRestart(t *testing.T) {
	server := redistest.Start(t, redistest.AppendOnly("always"))
	s := tasktest.NewStore(t, server.Client())
	tasktest.Create(t, s, "t1", "t2")
	w, err := s.NewWaiter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(t.Context(), "t1", "t2"); err != nil {
		t.Fatal(err)
	}
	a := tasktest.Begin(t, s, "t1")
	server.Kill()
	server.Restart()
	tasktest.Finish(t, a, "yes") // the fence outlived the restart
	if r, err := w.Next(t.Context()); err != nil || r.ID != "t1" || r.Answer != "yes" {
		t.Fatalf("got %+v, %v", r, err)
	}
	tasktest.Answer(t, s, "t2", "yes")
	if r, err := w.Next(t.Context()); err != nil || r.ID != "t2" || r.Answer != "yes" {
		t.Fatalf("got %+v, %v", r, err)
	}
}

// Who gives up does not wait for a Redis that cannot be reached.
func TestGivenUpWhileDisconnected(t *testing.T) {
	server := redistest.Start(t)
	proxy := server.Delay(0)
	way := newRoad()
	rdb := redis.NewClient(&redis.Options{Addr: proxy.Addr(), Dialer: way.dial, DialTimeout: 1 << 62, DialerRetryTimeout: 1})
	read := make(chan struct{}, 100)
	rdb.AddHook(reads{after: func(int) { read <- struct{}{} }})
	s := results.NewStore(rdb)
	tasktest.Create(t, s, "t1")

	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := s.Wait(ctx, "t1")
		waiting <- err
	}()
	<-read
	way.block()
	proxy.Break()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	way.unblock()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	rdb.Close()
}
