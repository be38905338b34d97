package ratelimit

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/pause"
)

// Limit is what the workers of one Redis have learnt of a credential's limit.
type Limit struct {
	Credential string  `json:"credential"`                 // hash, see coze.Client.Identity
	Rate       float64 `json:"calls_per_second,omitempty"` // as it is now; 0: nobody has asked for an hour
	Served     bool    `json:"served"`                     // by a live worker
	Learnt     bool    `json:"-"`                          // a refusal or the plan has set the rate; else it doubles still
}

// KnowAll makes the workers of a Redis start at rates that an earlier run has learnt, in calls a second by credential. A rate
// that they have learnt themselves stays.
func KnowAll(ctx context.Context, rdb redis.UniversalClient, rates map[string]float64) error {
	l := Limiter{Redis: rdb}
	for credential, rate := range rates {
		if rate > 0 {
			if err := l.Know(ctx, credential, rate); err != nil {
				return err
			}
		}
	}
	return nil
}

// All returns the limits of all credentials that are served, or were within the
// last hour, sorted by when they were served last.
func All(ctx context.Context, rdb redis.UniversalClient) ([]Limit, error) {
	seen, err := pause.Serving(ctx, rdb)
	if err != nil {
		return nil, err
	}
	l := Limiter{Redis: rdb}
	var all []Limit
	for _, credential := range seen {
		limit := Limit{Credential: credential.ID, Served: credential.Served}
		if limit.Rate, limit.Learnt, err = l.rate(ctx, limit.Credential); err != nil {
			return nil, fmt.Errorf("read the limit of credential %s: %w", limit.Credential, err)
		}
		if limit.Served || limit.Rate > 0 {
			all = append(all, limit)
		}
	}
	return all, nil
}
