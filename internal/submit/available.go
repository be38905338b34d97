package submit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/tasks"
)

const (
	// servedFor is how long a look at the live workers holds. A worker that starts is visible within a second.
	servedFor = 2 * time.Second

	redisAgain  = 2 * time.Second  // a Redis that restarts
	fullAgain   = 30 * time.Second // a Redis without room
	workerAgain = 10 * time.Second // a worker that restarts
)

// served remembers which queues have a live worker.
type served struct {
	redis redis.UniversalClient

	mu    sync.Mutex
	looks map[string]time.Time // the last time that a queue was found served
}

// check returns an *UnavailableError for a queue that no live worker serves.
func (s *served) check(queue string) error {
	if queue == "" {
		queue = tasks.QueueDefault
	}
	s.mu.Lock()
	fresh := time.Since(s.looks[queue]) < servedFor
	s.mu.Unlock()
	if fresh {
		return nil
	}
	shards, err := tasks.Shards(queue)
	if err != nil {
		return err
	}
	missing, err := asynqx.Unserved(s.redis, shards)
	switch {
	case err != nil:
		return Unavailable(err)
	case missing != "":
		return &UnavailableError{Reason: fmt.Sprintf("no worker serves queue %q now", missing), RetryAfter: workerAgain}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looks == nil {
		s.looks = make(map[string]time.Time)
	}
	s.looks[queue] = time.Now()
	return nil
}

// Unavailable makes an *UnavailableError of what Redis says if it is away or full. Other errors stay as they are.
func Unavailable(err error) error {
	_, unreached := errors.AsType[net.Error](err)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case redis.IsOOMError(err):
		return &UnavailableError{Reason: "redis is full and takes no questions", RetryAfter: fullAgain, Err: err}
	case redis.IsLoadingError(err), redis.IsReadOnlyError(err), redis.IsClusterDownError(err), redis.IsMasterDownError(err):
		return &UnavailableError{Reason: "redis starts or changes its master", RetryAfter: redisAgain, Err: err}
	case unreached, errors.Is(err, io.EOF), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return &UnavailableError{Reason: "redis does not answer", RetryAfter: redisAgain, Err: err}
	}
	return err
}
