package record

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
)

// Cancel ends a task that was not asked yet, and returns its record with status canceled. A task that runs, or waits with a
// chat of its own, is marked and its worker is told; the record returned has the status it had. A task that has ended is
// returned as it is.
func (s *Store) Cancel(ctx context.Context, id string) (*results.Result, error) {
	for {
		hash, err := s.rdb.HGetAll(ctx, results.Key(id)).Result()
		if err != nil {
			return nil, fmt.Errorf("cancel %s: %w", id, err)
		}
		r := parse(id, hash, s.results.Keys)
		if r.Status == "" {
			return nil, fmt.Errorf("%s: %w", id, results.ErrNotFound)
		}
		if r.Status.Terminal() {
			return &r.Result, nil
		}
		seen, here := r.Status, "0"
		if r.Status != results.Running && r.ChatID == "" && r.AskedAt.IsZero() {
			here = "1"
		}
		ended := r.Result
		ended.Status = results.Canceled
		ended.Error = &results.Failure{Class: "canceled", Message: "canceled before it was asked", Unencrypted: true}
		ended.CompletedAt = results.At(time.Now())
		message, err := ended.Seal(s.results.Keys, id).Encode()
		if err != nil {
			return nil, fmt.Errorf("cancel %s: %w", id, err)
		}
		keep := r.keep
		if keep == 0 {
			keep = seconds(s.results.Keep)
		}
		done, err := cancelScript.Run(ctx, s.rdb, []string{results.Key(id), results.BodyKey(id), results.DeltasKey(id)},
			string(seen), here, keep, results.Channel(id), message, rediskey.Cancel, id,
			ended.CompletedAt.String(), ended.Error.Class, ended.Error.Message, r.owner, r.ChatID).Int()
		switch {
		case err != nil:
			return nil, fmt.Errorf("cancel %s: %w", id, err)
		case done == 1 && here == "1":
			return &ended, nil
		case done == 1:
			return &r.Result, nil
		}
	}
}

// Cancellations calls f with the id of each task that is to be canceled, until ctx ends. After each connection it calls check,
// which should ask CancelRequested for its tasks: requests may have been missed meanwhile.
func (s *Store) Cancellations(ctx context.Context, f func(id string), check func()) error {
	sub := s.rdb.Subscribe(ctx, rediskey.Cancel)
	defer sub.Close()
	messages := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m, ok := <-messages:
			if !ok {
				return redis.ErrClosed
			}
			switch m := m.(type) {
			case *redis.Subscription:
				check()
			case *redis.Message:
				f(m.Payload)
			}
		}
	}
}

// CancelRequested returns those of ids whose cancellation was requested. With an error it returns those that it could read, as
// one node of a cluster may be away.
func (s *Store) CancelRequested(ctx context.Context, ids []string) ([]string, error) {
	replies := make([]*redis.StringCmd, len(ids))
	_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command keeps its own error
		for i, id := range ids {
			replies[i] = p.HGet(ctx, results.Key(id), "cancel")
		}
		return nil
	})
	var requested []string
	var failed error
	for i, reply := range replies {
		switch err := reply.Err(); {
		case err == nil:
			requested = append(requested, ids[i])
		case err != redis.Nil:
			failed = fmt.Errorf("read requests to cancel: %w", err)
		}
	}
	return requested, failed
}
