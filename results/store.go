package results

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/pipeline"
)

// DefaultKeep is how long a result is kept after its task has ended.
const DefaultKeep = 24 * time.Hour

// openTTL bounds the life of a record whose task never ends: a producer that
// died between its two steps, a queue that was deleted. Each Begin and each
// wait sets it anew; a task that outlives it loses its count of attempts, not
// its question.
const openTTL = 30 * 24 * time.Hour

// ErrNotFound is returned for an id that has no record: never enqueued here, or
// kept no longer.
var ErrNotFound = errors.New("no such task")

// ErrFenced is returned to an [Attempt] that may write no more: a newer one has
// begun, or the task has ended without it.
var ErrFenced = errors.New("another attempt owns this task")

// ErrChatGiven is returned by [Attempt.Asking] where the question has a chat already: see
// [Store.GiveOver].
var ErrChatGiven = errors.New("an earlier attempt has asked this question")

// Store reads and writes results. It is safe for concurrent use. The zero value
// is not usable; see [NewStore].
type Store struct {
	// Keep is how long results are kept after their tasks have ended, where the
	// task itself says nothing. Whole seconds. Set it before first use.
	Keep time.Duration

	// Keys encrypt answers, and all other text of results, before it goes to Redis, and
	// decrypt what was encrypted; nil: nothing is encrypted, and what is stays so, see
	// Result.Sealed. Set it before first use, and before a tasks.Client is made with the
	// store, which uses the same.
	Keys *Keys

	rdb redis.UniversalClient

	mu     sync.Mutex
	hub    *hub
	closed bool
}

// NewStore returns a Store on rdb, which stays the caller's to close.
func NewStore(rdb redis.UniversalClient) *Store {
	return &Store{Keep: DefaultKeep, rdb: rdb}
}

// Redis returns the client that the store was made with.
func (s *Store) Redis() redis.UniversalClient { return s.rdb }

// Close ends the subscription that waiters share; those still waiting get an
// error.
func (s *Store) Close() error {
	s.mu.Lock()
	hub := s.hub
	s.hub, s.closed = nil, true
	s.mu.Unlock()
	if hub == nil {
		return nil
	}
	return hub.close()
}

// Entry is what a producer knows of a task.
type Entry struct {
	// Result holds the ids, the queue, the bot and the conversation. Status and
	// CreatedAt are set by Create where they are empty. A ConversationID and a
	// ChatID make the worker look that chat up before it asks.
	Result

	// Body is kept under BodyKey for as long as the task has not ended. It is the
	// caller's to encrypt.
	Body []byte

	// Kept tells that the task is one of many that are kept together, with what they
	// were asked. Body is then kept as long as the result, and a result that has ended is
	// written without custom_id, bot_id, user_id and queue: these four, of the hash's
	// nineteen fields, are a fifth of what a short answer takes in Redis, as 17 fields take
	// room for 32.
	Kept bool

	// Keep overrides Store.Keep for this task; 0 = no override.
	Keep time.Duration

	// AskedAt tells, for a task taken over from an earlier run, when its
	// question was last sent with nothing known of what became of it.
	AskedAt time.Time
}

// Create writes the record of a task that is about to be enqueued. If the id
// has a record already it changes nothing and returns that record's status; a
// new record returns "".
func (s *Store) Create(ctx context.Context, e Entry) (Status, error) {
	c := e.create(s.Keys)
	return created(s.run(ctx, c.Script, c.Keys, c.Args), e.ID)
}

// CreateMany is Create for many records in one round trip. Both slices are aligned with
// entries; a record has a status or an error.
func (s *Store) CreateMany(ctx context.Context, entries []Entry) ([]Status, []error) {
	calls := make([]pipeline.Call, len(entries))
	for i := range entries {
		calls[i] = entries[i].create(s.Keys)
	}
	statuses, errs := make([]Status, len(entries)), make([]error, len(entries))
	for i, reply := range pipeline.Run(ctx, s.rdb, calls) {
		statuses[i], errs[i] = created(reply, entries[i].ID)
	}
	return statuses, errs
}

func (e Entry) create(k *Keys) pipeline.Call {
	if e.Status == "" {
		e.Status = Queued
	}
	if e.CreatedAt.IsZero() {
		e.CreatedAt = At(time.Now())
	}
	args := append([]any{seconds(openTTL), e.Body}, e.sealed(k, e.ID).fields()...)
	if e.Keep > 0 {
		args = append(args, "keep", seconds(e.Keep))
	}
	if e.Kept {
		args = append(args, "kept", "1")
	}
	if !e.AskedAt.IsZero() {
		args = append(args, "asked_at", At(e.AskedAt).String())
	}
	return pipeline.Call{Script: createScript, Keys: []string{Key(e.ID), BodyKey(e.ID)}, Args: args}
}

func created(reply *redis.Cmd, id string) (Status, error) {
	status, err := reply.Text()
	if err != nil {
		return "", fmt.Errorf("create result %s: %w", id, err)
	}
	return Status(status), nil
}

// Get returns a task's record as it stands, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (*Result, error) {
	flat, err := s.rdb.Do(ctx, "HGETALL", Key(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("read result %s: %w", id, KeyFault(Key(id), err))
	}
	r := s.parse(id, flat)
	if r.Status == "" {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	return &r.Result, nil
}

// getChunk is how many records one pipeline of GetMany reads.
const getChunk = 500

// GetMany returns many records as they stand, aligned with ids: nil for an id that has
// none.
func (s *Store) GetMany(ctx context.Context, ids []string) ([]*Result, error) {
	all := make([]*Result, 0, len(ids))
	for chunk := range slices.Chunk(ids, getChunk) {
		replies := make([]*redis.Cmd, len(chunk))
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range chunk {
				replies[i] = p.Do(ctx, "HGETALL", Key(id))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read results: %w", err)
		}
		for i, reply := range replies {
			r := s.parse(chunk[i], reply.Val())
			if r.Status == "" {
				all = append(all, nil)
				continue
			}
			all = append(all, &r.Result)
		}
	}
	return all, nil
}

// parse reads a task's record as HGETALL gives it, and decrypts it.
func (s *Store) parse(id string, reply any) record {
	r := parse(flatten(reply))
	r.open(s.Keys, id)
	return r
}

// Delete forgets tasks that have ended: for a caller that has brought their
// results to safety and wants the memory back. With a record goes what fences
// an older attempt at its task: see [Attempt.Over].
func (s *Store) Delete(ctx context.Context, ids ...string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			p.Unlink(ctx, Key(id), BodyKey(id), DeltasKey(id))
		}
		return nil
	})
	return err
}

// run runs a script, together with the commands of along in one round trip. A
// pipeline cannot fall back from a script's hash to its source by itself; only the
// script is then sent again.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args []any, along ...func(redis.Cmdable)) *redis.Cmd {
	if len(along) == 0 {
		return script.Run(ctx, s.rdb, keys, args...)
	}
	var cmd *redis.Cmd
	send := func(c redis.Cmdable) {
		cmd = script.EvalSha(ctx, c, keys, args...)
		for _, add := range along {
			add(c)
		}
	}
	if shared, ok := s.rdb.(*redis.AutoPipeliner); ok && !shared.IsBlocking() {
		send(shared) // none waits for its reply here, so one pipeline takes them all
	} else {
		_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command keeps its own error
			send(p)
			return nil
		})
	}
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		return script.Run(ctx, s.rdb, keys, args...)
	}
	return cmd
}

// flatten brings a reply of HGETALL to the RESP2 shape: RESP3 servers send maps.
func flatten(reply any) []any {
	switch v := reply.(type) {
	case []any:
		return v
	case map[any]any:
		flat := make([]any, 0, 2*len(v))
		for name, value := range v {
			flat = append(flat, name, value)
		}
		return flat
	}
	return nil
}

func seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

func newOwner() string { return strconv.FormatUint(rand.Uint64(), 36) }
