package redistest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Stage lets processes take turns at Redis: all of them stand still but one, which makes one call and goes on to its
// next. The order, and what becomes of each call, is drawn by the test, so a failure shrinks to the few steps that
// matter.
type Stage struct {
	// Actors are the processes that have not ended, each about to make a call.
	Actors []*Actor

	rdb redis.UniversalClient
}

// NewStage returns a stage whose processes meet at rdb, the client of an embedded Redis or a single server.
func NewStage(rdb redis.UniversalClient) *Stage { return &Stage{rdb: rdb} }

// Actor is one process.
type Actor struct {
	Name  string
	Redis *redis.Client // to be used by the process alone

	// Dead is set once the process has died: none of its calls is made any more.
	Dead bool

	calls  sync.Mutex    // a process may call from several goroutines: one call at a time
	parked chan struct{} // it is about to make a call
	fates  chan Fate
	ended  chan struct{}
}

// Fate is what becomes of a call.
type Fate string

// The fates.
const (
	Answered Fate = "answered"
	Twice    Fate = "sent again, as its reply was lost"
	Unheard  Fate = "its process dies before the reply"
	Unsent   Fate = "its process dies before"
)

var errDied = errors.New("the process died")

// Enter adds a process and lets it run up to its first call. f runs on a goroutine of its own, but never at the same
// time as another process or the test.
func (s *Stage) Enter(name string, f func(a *Actor)) {
	options := *s.rdb.(*redis.Client).Options()
	options.PushNotificationProcessor = nil
	a := &Actor{
		Name: name, Redis: redis.NewClient(&options),
		parked: make(chan struct{}), fates: make(chan Fate), ended: make(chan struct{}),
	}
	a.Redis.AddHook(a)
	s.Actors = append(s.Actors, a)
	go func() {
		defer close(a.ended)
		f(a)
	}()
	s.await(a)
}

// await waits until a is about to make a call or has ended.
func (s *Stage) await(a *Actor) {
	select {
	case <-a.parked:
	case <-a.ended:
		a.Redis.Close()
		s.Actors = slices.DeleteFunc(s.Actors, func(other *Actor) bool { return other == a })
	}
}

// Step lets a process make its call, with this fate, and go on to its next.
func (s *Stage) Step(a *Actor, f Fate) {
	a.fates <- f
	s.await(a)
}

// Clear lets the processes die that a failed test has left behind.
func (s *Stage) Clear() {
	for len(s.Actors) > 0 {
		s.Step(s.Actors[0], Unsent)
	}
}

func (a *Actor) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *Actor) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if ofConnection(cmd) {
			return next(ctx, cmd)
		}
		err := a.call(func() error { return next(ctx, cmd) })
		if errors.Is(err, errDied) {
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook: a pipeline is one call.
func (a *Actor) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && ofConnection(cmds[0]) {
			return next(ctx, cmds)
		}
		err := a.call(func() error { return next(ctx, cmds) })
		if errors.Is(err, errDied) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

func ofConnection(cmd redis.Cmder) bool { return cmd.Name() == "hello" || cmd.Name() == "client" }

func (a *Actor) call(do func() error) error {
	a.calls.Lock()
	defer a.calls.Unlock()
	if a.Dead {
		return errDied
	}
	a.parked <- struct{}{}
	switch <-a.fates {
	case Unsent:
		a.Dead = true
		return errDied
	case Unheard:
		_ = do()
		a.Dead = true
		return errDied
	case Twice:
		_ = do()
	}
	return do()
}
