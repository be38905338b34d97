package tasks

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// A queue of asynq is one list, in a Redis Cluster on one node. Too much work for one queue goes over several: the name NAME/N
// stands for the N queues NAME-0 to NAME-(N-1). All tasks of a conversation go into the same one.

// maxShards bounds the N of NAME/N: a worker looks at each of its queues.
const maxShards = 1000

// queueWebhooks is served by no worker: see package webhook.
const queueWebhooks = "webhooks"

// Shards returns the queues that a name stands for: those of NAME/N, or the one of that name. Any other name is an
// *InvalidError.
func Shards(name string) ([]string, error) {
	base, n, err := parseShards(name)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return []string{name}, nil
	}
	queues := make([]string, n)
	for i := range queues {
		queues[i] = shard(base, i)
	}
	return queues, nil
}

// Shard returns the queue, of those that a name stands for, for tasks with this key. The key is the lane of the conversation
// (Chat.Lane), or the id of a task without one. In other languages: number FNV-1a(key) mod N, 32 bits, over the bytes of
// the key. Errors are those of Shards.
func Shard(name, key string) (string, error) {
	base, n, err := parseShards(name)
	if err != nil || n == 0 {
		return name, err
	}
	h := fnv.New32a()
	h.Write([]byte(key)) // never fails
	return shard(base, int(h.Sum32()%uint32(n))), nil
}

func shard(base string, i int) string { return base + "-" + strconv.Itoa(i) }

// parseShards takes NAME/N apart; n is 0 for a plain name.
func parseShards(name string) (base string, n int, err error) {
	base, count, sharded := strings.Cut(name, "/")
	if base == queueWebhooks {
		return "", 0, invalid("queue", "%q is for deliveries of webhooks: choose another name", base)
	}
	if !sharded {
		return name, 0, ValidateQueue(name)
	}
	n, err = strconv.Atoi(count)
	if err != nil || base == "" || n < 1 || n > maxShards || strconv.Itoa(n) != count {
		return "", 0, invalid("queue", "%q, want a name, or NAME/N with N from 1 to %d for the queues NAME-0 to NAME-(N-1)", name, maxShards)
	}
	return base, n, ValidateQueue(shard(base, n-1))
}
