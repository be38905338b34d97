// Package subscription keeps one subscription to a changing set of channels: many listeners of one process share one
// connection to Redis. It knows nothing of what is said there.
package subscription

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// chunk is how many channels one SUBSCRIBE names.
const chunk = 500

// buffer is how many messages may wait for Heard. go-redis drops one that has waited for a minute.
const buffer = 1000

// Listener is who uses a Subscription: it knows who waits for what. Its methods must not wait for Redis.
type Listener interface {
	// Stands is called each time that Redis has confirmed the subscription to a channel: for the first connection, and for
	// every later one, as go-redis subscribes again when a connection drops. What was published before, the listener may
	// have missed; what is published from now on, it hears.
	Stands(channel string)

	Heard(channel, message string)

	// Wanted reports whether somebody still waits for what comes on a channel.
	Wanted(channel string) bool
}

// Subscription is a set of channels. It is safe for concurrent use.
type Subscription struct {
	sub      *redis.PubSub
	listener Listener
	cancel   context.CancelFunc
	done     sync.WaitGroup
	closed   chan struct{} // closed when nothing more will come

	// order is held (capacity 1) from the look at who wants a channel to the change of the subscription that follows from
	// it. Otherwise the UNSUBSCRIBE of the last listener could overtake the SUBSCRIBE of the next one.
	order chan struct{}

	mu   sync.Mutex
	gone []string      // channels to unsubscribe, if nobody wants them by then
	wake chan struct{} // capacity 1: gone has grown
}

// New returns a Subscription without channels. It connects when the first is added.
func New(rdb redis.UniversalClient, l Listener) *Subscription {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Subscription{
		sub:      rdb.Subscribe(ctx),
		listener: l,
		cancel:   cancel,
		closed:   make(chan struct{}),
		order:    make(chan struct{}, 1),
		wake:     make(chan struct{}, 1),
	}
	messages := s.sub.ChannelWithSubscriptions(redis.WithChannelSize(buffer))
	s.done.Go(func() { s.receive(messages) })
	s.done.Go(func() { s.unsubscribe(ctx) })
	return s
}

// Close ends the subscription. It must be called once.
func (s *Subscription) Close() error {
	s.cancel()
	close(s.closed)
	err := s.sub.Close()
	s.done.Wait()
	return err
}

func (s *Subscription) Closed() <-chan struct{} { return s.closed }

// Subscribe calls add, which notes who waits from now on, and subscribes to the channels that it returns: those that nobody
// waited for. A Subscription that is closed is redis.ErrClosed. After an error the caller takes its note back and calls
// Release.
func (s *Subscription) Subscribe(ctx context.Context, add func() []string) error {
	select {
	case s.order <- struct{}{}:
		defer func() { <-s.order }()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closed:
		return redis.ErrClosed
	}
	for channels := range slices.Chunk(add(), chunk) {
		if err := s.sub.Subscribe(ctx, channels...); err != nil {
			if at, ok := ctx.Deadline(); ok && time.Until(at) <= 0 {
				<-ctx.Done() // the connection has the same deadline, and may notice it a moment earlier
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	return nil
}

// Release tells that perhaps nobody wants these channels any more. It does not wait for Redis: it is called where a context
// has ended.
func (s *Subscription) Release(channels ...string) {
	if len(channels) == 0 {
		return
	}
	s.mu.Lock()
	s.gone = append(s.gone, channels...)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Subscription) receive(messages <-chan any) {
	for m := range messages {
		switch m := m.(type) {
		case *redis.Subscription:
			if m.Kind == "subscribe" {
				s.listener.Stands(m.Channel)
			}
		case *redis.Message:
			s.listener.Heard(m.Channel, m.Payload)
		}
	}
}

// unsubscribe may fail: the channels of ended tasks stay silent, and a dropped connection forgets them anyway.
func (s *Subscription) unsubscribe(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		select {
		case <-ctx.Done():
			return
		case s.order <- struct{}{}:
		}
		s.mu.Lock()
		gone := s.gone
		s.gone = nil
		s.mu.Unlock()
		gone = slices.DeleteFunc(gone, s.listener.Wanted)
		for channels := range slices.Chunk(gone, chunk) {
			_ = s.sub.Unsubscribe(ctx, channels...)
		}
		<-s.order
	}
}
