package apikey

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

//go:embed *.lua
var scripts embed.FS

var (
	admitScript = redisscript.Script(scripts, "admit.lua")
	freeScript  = redisscript.Script(scripts, "free.lua")
)

// Limits bound what keys submit, over all processes of one Redis. It has the keys cozeq:apikey:{NAME}:rate, :open and
// :rows; the braces keep those of one key in one slot. A Limits is safe for concurrent use.
//
// A place in flight is taken before the task's record is written. It is not given back explicitly: a request that finds all
// places taken checks their records, and frees those of ended tasks. So no death costs a place:
//
//	a serve between the admission and the record   no record: the place is free a minute later
//	a worker, or every worker                      the record is open, and so is the place; it ends when the task does
//	every serve                                    the next one finds the ended records
//
// Cost: nothing without bounds, one round trip within them. A refused request reads one field of each open record.
type Limits struct {
	rdb     redis.UniversalClient
	batches *batches.Client

	mu   sync.Mutex
	full map[string]time.Time // by key: no place was free then, and it took many reads to learn it
}

func NewLimits(store *results.Store) *Limits {
	return &Limits{
		rdb:     store.Redis(),
		batches: batches.New(tasks.NewClient(store)),
		full:    make(map[string]time.Time),
	}
}

// LimitError says that a key has reached a bound of its own.
type LimitError struct {
	Key  string // its name
	What string // as "its rate of 10/s"

	// RetryAfter is when to come back; 0 = never: it is more than the key may submit at once.
	RetryAfter time.Duration
}

func (e *LimitError) Error() string {
	if e.RetryAfter == 0 {
		return fmt.Sprintf("the key %s may not submit that much: %s", e.Key, e.What)
	}
	return fmt.Sprintf("the key %s has reached %s: retry in %v", e.Key, e.What, e.RetryAfter.Round(time.Millisecond))
}

// Admit admits a task, before its record is written. The error is a *LimitError if a bound of the key is reached. A task
// that was admitted and has not ended is admitted again.
func (l *Limits) Admit(ctx context.Context, key *Key, id string) error {
	return l.admit(ctx, key, "task:"+id, 1)
}

// AdmitBatch admits a batch of so many questions, before it is created, or before so many of its rows are asked again.
func (l *Limits) AdmitBatch(ctx context.Context, key *Key, id string, rows int) error {
	return l.admit(ctx, key, batchPrefix+id, rows)
}

// openTTL is longer than any record is kept that has not ended.
const openTTL = 31 * 24 * time.Hour

// fullWait is when to come back if all places are taken: about a chat's time.
const fullWait = time.Second

func (l *Limits) admit(ctx context.Context, key *Key, member string, n int) error {
	if key == nil || key.Rate == (Rate{}) && key.MaxInFlight == 0 || n == 0 {
		return nil
	}
	if key.MaxInFlight > 0 && n > key.MaxInFlight {
		return &LimitError{Key: key.Name, What: fmt.Sprintf("%d questions, at most %d in flight", n, key.MaxInFlight)}
	}
	for {
		verdict, number, err := l.ask(ctx, key, member, n)
		switch {
		case err != nil:
			return err
		case verdict == "ok":
			return nil
		case verdict == "rate":
			return &LimitError{Key: key.Name, What: "its rate of " + key.Rate.String(), RetryAfter: time.Duration(number) * time.Millisecond}
		}
		freed, err := l.free(ctx, key.Name)
		if err != nil {
			return err
		}
		if freed == 0 {
			return &LimitError{Key: key.Name, What: fmt.Sprintf("its %d in flight (%d are)", key.MaxInFlight, number), RetryAfter: fullWait}
		}
	}
}

func (l *Limits) ask(ctx context.Context, key *Key, member string, n int) (verdict string, number int64, err error) {
	takes, batch := 0.0, "0"
	if key.Rate != (Rate{}) {
		takes = float64(key.Rate.Per.Milliseconds()) / key.Rate.N
	}
	if isBatch(member) {
		batch = "1"
	}
	reply, err := admitScript.Run(ctx, l.rdb, []string{rediskey.APIKey(key.Name, "rate"), rediskey.APIKey(key.Name, "open"), rediskey.APIKey(key.Name, "rows")},
		member, n, batch, takes, key.Rate.Per.Milliseconds(), key.MaxInFlight, int(openTTL.Seconds())).StringSlice()
	if err != nil {
		return "", 0, fmt.Errorf("admit %s: %w", member, err)
	}
	if len(reply) > 1 {
		number, err = strconv.ParseInt(reply[1], 10, 64)
	}
	return reply[0], number, err
}
