package batches

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Size is what the memory of a detached batch depends on.
type Size struct {
	Rows    int
	Text    int64 // bytes of the content of the questions' messages
	Columns int64 // bytes of the custom_ids and of the cells for the output
	Sealed  bool  // all text is encrypted
}

// Memory is what a batch takes in Redis without its answers, in bytes.
type Memory struct {
	Records int64 // its results, once all have ended
	Queue   int64 // its tasks, before any has ended
	Rows    int64 // the rows themselves, for retry and output

	open int64 // its results, before any has ended
}

// Total is the most at any time: a task leaves the queue when its result comes.
func (m Memory) Total() int64 { return m.Rows + max(m.Records, m.open+m.Queue) }

// Bytes of each row on Redis 7.0, with ids of 20 characters, a share of Redis's key table, and a tenth added.
// TestBatchMemory measures them.
const (
	openRecordBytes  = 470  // the record of an open task
	endedRecordBytes = 1530 // the record of an answered task
	queuedBytes      = 770  // a task in asynq's queue
	sealedBytes      = 200  // what encryption adds to base64's third: mark, the longest key id, nonce and tag of each value
	rowBytes         = 20   // a row without text, compressed with 249 others, and its state
)

// Estimate estimates what a batch takes. Compression leaves a tenth to two thirds of a text; the estimate takes two thirds.
func Estimate(s Size) Memory {
	n := int64(s.Rows)
	if s.Sealed { // in base64
		sealed := Size{Rows: s.Rows, Text: s.Text * 4 / 3, Columns: s.Columns * 4 / 3}
		m := Estimate(sealed)
		m.Records, m.Queue, m.open = m.Records+n*sealedBytes, m.Queue+n*sealedBytes, m.open+n*sealedBytes
		return m
	}
	return Memory{
		Records: n * endedRecordBytes,
		Queue:   n*queuedBytes + s.Text + s.Text/8, // as JSON
		Rows:    n*rowBytes + (s.Text+s.Columns)*2/3,
		open:    n * openRecordBytes,
	}
}

// Room is the memory of Redis, for a cluster the sum of its masters.
type Room struct {
	Used   int64
	Max    int64  // maxmemory; 0 = no limit but the machine's
	Policy string // maxmemory-policy; anything but noeviction may throw a batch away
	Nodes  int    // masters
}

// Room asks Redis how much memory it has.
func (c *Client) Room(ctx context.Context) (Room, error) {
	var r Room
	var mu sync.Mutex
	limited := true
	look := func(ctx context.Context, rdb *redis.Client) error {
		info, err := rdb.InfoMap(ctx, "memory").Result()
		if err != nil {
			return err
		}
		memory := info["Memory"] // what is missing is 0 or ""
		used, _ := strconv.ParseInt(memory["used_memory"], 10, 64)
		most, _ := strconv.ParseInt(memory["maxmemory"], 10, 64)
		policy := memory["maxmemory_policy"]
		mu.Lock()
		defer mu.Unlock()
		r.Used += used
		r.Max += most
		r.Nodes++
		limited = limited && most > 0
		if r.Policy == "" || policy != "noeviction" {
			r.Policy = policy
		}
		return nil
	}
	var err error
	switch rdb := c.rdb.(type) {
	case *redis.ClusterClient:
		err = rdb.ForEachMaster(ctx, look)
	case *redis.Client:
		err = look(ctx, rdb)
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		return Room{}, fmt.Errorf("read the memory of redis: %w", err)
	}
	if !limited {
		r.Max = 0
	}
	return r, nil
}

// NoRoomError says that Redis cannot hold a batch.
type NoRoomError struct {
	Need int64 // bytes, without the answers
	Free int64
	Max  int64 // Redis's maxmemory
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("the batch takes about %s of Redis's memory before its answers, and %s are free of a maxmemory of %s: raise maxmemory, or submit the file in parts",
		mebibytes(e.Need), mebibytes(e.Free), mebibytes(e.Max))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// Hold returns a *NoRoomError if Redis has a limit and the batch would exceed it. In a cluster the queue and the rows are
// on one node each, the results on all.
func (r Room) Hold(m Memory) error {
	if r.Max == 0 {
		return nil
	}
	free := max(0, r.Max-r.Used)
	if m.Total() > free {
		return &NoRoomError{Need: m.Total(), Free: free, Max: r.Max}
	}
	if n := int64(r.Nodes); n > 1 && m.Queue+m.Rows+m.open/n > free/n {
		return &NoRoomError{Need: (m.Queue + m.Rows) * n, Free: free, Max: r.Max}
	}
	return nil
}
