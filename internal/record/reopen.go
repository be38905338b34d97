package record

import (
	"context"
	"fmt"

	"github.com/cozeq/cozeq/results"
)

// Reopen lets a failed task be asked again. It is the only thing that rewrites a terminal record, and a person asks for it. A
// record that did not fail is left as it is.
func (s *Store) Reopen(ctx context.Context, id string) error {
	if err := reopenScript.Run(ctx, s.rdb, []string{results.Key(id), results.DeltasKey(id)}, seconds(openTTL)).Err(); err != nil {
		return fmt.Errorf("reopen %s: %w", id, err)
	}
	return nil
}
