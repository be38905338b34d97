package asynqx

import (
	"fmt"
	"slices"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Webhooks is the queue of deliveries. Processes that serve the HTTP API serve it, and workers do not.
const Webhooks = "webhooks"

// IsWorker reports whether a server asks questions: it serves another queue than Webhooks.
func IsWorker(s *asynq.ServerInfo) bool {
	_, delivers := s.Queues[Webhooks]
	return !delivers || len(s.Queues) > 1
}

// Unserved is the first of these queues that no live worker serves, "" if all are served. asynq counts a killed worker as
// alive for 10 s more.
func Unserved(rdb redis.UniversalClient, queues []string) (string, error) {
	servers, err := asynq.NewInspectorFromRedisClient(rdb).Servers()
	if err != nil {
		return "", fmt.Errorf("look for workers: %w", err)
	}
	for _, queue := range queues {
		if !slices.ContainsFunc(servers, func(i *asynq.ServerInfo) bool { return i.Status == "active" && i.Queues[queue] > 0 }) {
			return queue, nil
		}
	}
	return "", nil
}
