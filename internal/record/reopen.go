package record

import (
	"context"
	"fmt"

	"github.com/cozeq/cozeq/results"
)

// Reopen lets a failed task be asked again. It is the only thing that rewrites a terminal record, and a person asks for it. A
// record that did not fail is left as it is.
func (s *Store) Reopen(ctx context.Context, id string) error { return s.reopen(ctx, id, "") }

// FailedAt is when a task failed, as its record has it, for ReopenFailed; "" if it has not.
func (s *Store) FailedAt(ctx context.Context, id string) (string, error) {
	f, err := s.rdb.HMGet(ctx, results.Key(id), "status", "completed_at").Result()
	if err != nil {
		return "", fmt.Errorf("read %s: %w", id, err)
	}
	at, _ := f[1].(string)
	if f[0] != string(results.Failed) {
		return "", nil
	}
	return at, nil
}

// ReopenFailed is Reopen for a task that failed at that moment and not again since.
func (s *Store) ReopenFailed(ctx context.Context, id, at string) error {
	if at == "" {
		return nil
	}
	return s.reopen(ctx, id, at)
}

func (s *Store) reopen(ctx context.Context, id, at string) error {
	if err := reopenScript.Run(ctx, s.rdb, []string{results.Key(id), results.DeltasKey(id)}, seconds(openTTL), at).Err(); err != nil {
		return fmt.Errorf("reopen %s: %w", id, err)
	}
	return nil
}
