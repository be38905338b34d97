package tasks_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

// stage lets processes take turns at Redis: all of them stand still but one, which
// makes one call and goes on to its next. The order, and what becomes of each
// call, is drawn by the test, so a failure shrinks to the few steps that matter.
type stage struct {
	rdb    redis.UniversalClient
	actors []*actor
}

// actor is one process.
type actor struct {
	name   string
	rdb    *redis.Client
	parked chan string // the call that it is about to make
	fates  chan fate
	ended  chan struct{}
	dead   bool
}

// fate is what becomes of a call.
type fate string

const (
	answered fate = "answered"
	twice    fate = "sent again, as its reply was lost"
	unheard  fate = "its process dies before the reply"
	unsent   fate = "its process dies before"
)

var errDied = errors.New("the process died")

// enter adds a process and lets it run up to its first call. f runs on a goroutine
// of its own, but never at the same time as another process or the test.
func (s *stage) enter(t testing.TB, name string, f func(a *actor)) {
	options := *s.rdb.(*redis.Client).Options()
	options.PushNotificationProcessor = nil
	a := &actor{
		name: name, rdb: redis.NewClient(&options),
		parked: make(chan string), fates: make(chan fate), ended: make(chan struct{}),
	}
	a.rdb.AddHook(a)
	s.actors = append(s.actors, a)
	go func() {
		defer close(a.ended)
		f(a)
	}()
	s.await(a)
}

// await waits until a is about to make a call or has ended.
func (s *stage) await(a *actor) {
	select {
	case <-a.parked:
	case <-a.ended:
		a.rdb.Close()
		s.actors = slices.DeleteFunc(s.actors, func(other *actor) bool { return other == a })
	}
}

func (s *stage) step(a *actor, f fate) {
	a.fates <- f
	s.await(a)
}

// clear lets the processes die that a failed test has left behind.
func (s *stage) clear() {
	for len(s.actors) > 0 {
		s.step(s.actors[0], unsent)
	}
}

func (a *actor) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *actor) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hello" || cmd.Name() == "client" { // a connection's own
			return next(ctx, cmd)
		}
		err := a.call(cmd.Name(), func() error { return next(ctx, cmd) })
		if errors.Is(err, errDied) {
			cmd.SetErr(err)
		}
		return err
	}
}

func (a *actor) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && (cmds[0].Name() == "hello" || cmds[0].Name() == "client") {
			return next(ctx, cmds)
		}
		err := a.call("pipeline", func() error { return next(ctx, cmds) })
		if errors.Is(err, errDied) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

func (a *actor) call(name string, do func() error) error {
	if a.dead {
		return errDied
	}
	a.parked <- name
	switch <-a.fates {
	case unsent:
		a.dead = true
		return errDied
	case unheard:
		_ = do()
		a.dead = true
		return errDied
	case twice:
		_ = do()
	}
	return do()
}
