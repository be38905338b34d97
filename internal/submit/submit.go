// Package submit is the one way in for questions that come over HTTP. It checks what the API key of the request may, gives
// the task its id, and puts it into the queue once, however often a client sends the same request.
//
// # Which id a task gets
//
//   - With an id of the caller's own: that one. The same request again finds the task, another request is a ConflictError.
//   - With an idempotency key: one made of the key and the tenant. The rule is the same.
//   - With neither: a new one. OpenAI's SDKs send a request again after a cut connection or a time-out, without a key, but
//     with the number of the try. From the second try on the newest task of the same tenant with the same request is
//     joined, if it is young enough: see Config.JoinFor.
//
// A task whose client hung up before it was asked is not joined: see anew.
//
// A digest in the task's record tells the same request from another: see results.Keys. It is of the chat and of what the
// caller has set.
//
// # Keys
//
//	cozeq:retry:{DIGEST}  string  the newest task of a tenant with this request, for Config.JoinFor
package submit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// defaultJoinFor is how long a retry may find the first try: as long as an attempt may take.
const defaultJoinFor = tasks.DefaultTimeout

// Config is what a Client works with.
type Config struct {
	Tasks *tasks.Client

	// Limits are the bounds of API keys; nil: none are held.
	Limits *apikey.Limits

	// JoinFor is how old a task may be that a retry joins; 0: 15 min, negative: none is joined.
	JoinFor time.Duration
}

// Client submits. It is safe for concurrent use.
type Client struct {
	Config
	redis  redis.UniversalClient
	served served
	holds  pause.Holds
}

func New(c Config) *Client {
	if c.JoinFor == 0 {
		c.JoinFor = defaultJoinFor
	}
	rdb := c.Tasks.Results().Redis()
	return &Client{Config: c, redis: rdb, served: served{redis: rdb}, holds: pause.Holds{Redis: rdb}}
}

// keys are those of the results; nil: nothing is encrypted.
func (c *Client) keys() *results.Keys { return c.Tasks.Results().Keys }

// Request is one question. Submit sets what the key of the request decides: the tenant and, where it names one, the credential.
type Request struct {
	Chat    *tasks.Chat
	Options tasks.Options // ID is the caller's own; empty: none

	// IdempotencyKey is the header of this name.
	IdempotencyKey string

	// Join lets a retry find the first try. Retry is which try this is, from 0, as the client says
	// (X-Stainless-Retry-Count).
	Join  bool
	Retry int

	// Now says that somebody waits for the answer. What would not be asked now is a *PausedError then, and waits in the queue
	// otherwise.
	Now bool

	// Prepare is called with the id before the task is enqueued, and again if the call is repeated; nil: nothing. If it
	// fails nothing is enqueued.
	Prepare func(ctx context.Context, id string) error
}

// Ticket is the outcome of a request.
type Ticket struct {
	ID      string
	Existed bool            // an earlier request has submitted it
	Record  *results.Result // as it stands; nil with an error
}

// ConflictError is an id, or an idempotency key, that belongs to another request already.
type ConflictError struct {
	ID  string // of the task that is there
	Key bool   // it was named by an idempotency key
}

func (e *ConflictError) Error() string {
	if e.Key {
		return "this idempotency key was used with another request: send the same one, or use another key"
	}
	return fmt.Sprintf("id %q belongs to another request: use another id", e.ID)
}

// UnavailableError says why no question can be taken now, and when to try again. Nothing was enqueued, or the same request
// completes it.
type UnavailableError struct {
	Reason     string
	RetryAfter time.Duration
	Err        error // what Redis said; nil: there is no worker
}

func (e *UnavailableError) Error() string { return e.Reason }
func (e *UnavailableError) Unwrap() error { return e.Err }

// Outcome is what became of one of several requests.
type Outcome struct {
	Ticket
	Err error
}

// Submit puts one question into the queue. Its errors are *tasks.InvalidError, *ConflictError, *UnavailableError, *PausedError
// and those of package apikey.
//
// The process may die at any point; the same request again then completes what is there:
//
//  1. The retry note is written first. A retry that finds it, but no record, enqueues under the noted id.
//  2. What Prepare has made must cope with a task that never comes.
//  3. tasks.Client.Enqueue may be repeated with the same id; see there.
func (c *Client) Submit(ctx context.Context, r *Request) (Ticket, error) {
	o := c.SubmitAll(ctx, []*Request{r})[0]
	return o.Ticket, o.Err
}

// SubmitAll is Submit for many questions, in their order.
func (c *Client) SubmitAll(ctx context.Context, all []*Request) []Outcome {
	outcomes := make([]Outcome, len(all))
	digests := make([][]string, len(all))
	items := make([]tasks.Item, 0, len(all))
	sent := make([]int, 0, len(all))
	for i, r := range all {
		o := r.Options
		o.ID, digests[i], outcomes[i].Err = c.prepare(ctx, r)
		if outcomes[i].ID = o.ID; outcomes[i].Err == nil {
			o.Digest = digests[i][0]
			items, sent = append(items, tasks.Item{Chat: r.Chat, Options: o}), append(sent, i)
		}
	}
	if err := context.Cause(ctx); err != nil { // the client has hung up, and may have sent the request again meanwhile
		for _, i := range sent {
			outcomes[i].Err = err
		}
		return outcomes
	}
	for k, e := range c.Tasks.EnqueueAll(ctx, items) {
		i := sent[k]
		if errors.Is(e.Err, tasks.ErrDuplicate) {
			outcomes[i].Existed = true
			outcomes[i].Record, outcomes[i].Err = c.compare(ctx, all[i], e.ID, digests[i])
		} else if outcomes[i].Err = Unavailable(e.Err); e.Err == nil {
			outcomes[i].Record = written(*all[i].Chat, e)
		}
	}
	return outcomes
}

// written is the record of a task that was just enqueued. It saves reading it back.
func written(chat tasks.Chat, e tasks.Enqueued) *results.Result {
	chat.UserID = cmp.Or(chat.UserID, tasks.DefaultUserID)
	record := chat.Record(e.ID, "")
	record.Status, record.CreatedAt = results.Queued, e.CreatedAt
	return &record
}

// prepare checks a request, names its task and does what must be done before the task is there.
func (c *Client) prepare(ctx context.Context, r *Request) (id string, digests []string, err error) {
	key := apikey.FromContext(ctx)
	if err := c.Allow(key, r.Chat, r.Options.Queue); err != nil {
		return "", nil, err
	}
	if err := r.Chat.Validate(); err != nil {
		return "", nil, err
	}
	if err := r.Options.Validate(); err != nil {
		return "", nil, err
	}
	if err := c.served.check(r.Options.Queue); err != nil {
		return "", nil, err
	}
	request, err := fingerprint(r.Chat, &r.Options)
	if err != nil {
		return "", nil, err
	}
	id, note, err := c.name(ctx, r, request)
	if err != nil {
		return "", nil, Unavailable(err)
	}
	// Three looks at Redis at once, as somebody waits. A key's bounds come after the look at pauses: what is refused for one
	// is not counted.
	noted, held := nothing, nothing
	if note != "" {
		noted = begin(func() error { return c.noteFirst(ctx, note, id) })
	}
	if r.Now {
		held = begin(func() error { return c.checkHeld(ctx, r, id) })
	}
	if key != nil {
		if err = held(); err == nil {
			err = Unavailable(c.Limits.Admit(ctx, key, id))
		}
	}
	if err == nil && r.Prepare != nil {
		err = Unavailable(r.Prepare(ctx, id))
	}
	err = cmp.Or(err, held(), Unavailable(noted()))
	return id, c.digests(request, id), err
}

// Allow checks what a key may, and sets what it decides: the tenant, and the credential if it has one.
func (c *Client) Allow(key *apikey.Key, chat *tasks.Chat, queue string) error {
	if key == nil {
		return nil
	}
	chat.Tenant = key.Name
	chat.Credential = cmp.Or(chat.Credential, key.Credential)
	bot := key.CheckBot(chat.Asked()) // of a workflow too, as workflow:ID
	if chat.WorkflowID != "" && chat.BotID != "" {
		bot = errors.Join(bot, key.CheckBot(chat.BotID))
	}
	return errors.Join(bot, key.CheckQueue(cmp.Or(queue, tasks.QueueDefault)), key.CheckCredential(chat.Credential))
}

// compare tells a repeated request from another one with the same id.
func (c *Client) compare(ctx context.Context, r *Request, id string, digests []string) (*results.Result, error) {
	record, err := c.Tasks.Results().Get(ctx, id)
	switch {
	case err != nil:
		return nil, Unavailable(err)
	case record.Tenant != r.Chat.Tenant || !slices.Contains(digests, record.Digest):
		return nil, &ConflictError{ID: id, Key: r.Options.ID == "" && r.IdempotencyKey != ""}
	}
	return record, nil
}

// name decides which id the task gets: see the package comment. note is the key of the retry note that is to be written before
// the task; "" for none.
func (c *Client) name(ctx context.Context, r *Request, request []byte) (id, note string, err error) {
	switch {
	case r.Options.ID != "":
		return r.Options.ID, "", nil
	case r.IdempotencyKey != "":
		id, err = c.anew(ctx, r, keyedID(r.Chat.Tenant, r.IdempotencyKey), request)
		return id, "", err
	}
	v7, err := uuid.NewV7()
	if err != nil {
		return "", "", fmt.Errorf("make an id: %w", err)
	}
	id = v7.String()
	if !r.Join || c.JoinFor < 0 {
		return id, "", nil
	}
	key := c.retryKey(r.Chat.Tenant, request)
	if r.Retry == 0 {
		return id, key, nil
	}
	if id, err = c.firstTry(ctx, key, id); err == nil {
		id, err = c.anew(ctx, r, id, request)
	}
	return id, "", err
}

// anew returns the id under which a request is asked if the task of its earlier try was given up: the client hung up, or was
// told of a pause, and comes again. A task that no worker has begun was never asked, and canceled is an end, so another one can
// be made. Its id follows from the first, so two retries at the same time make one. A task that was begun may have been paid for:
// it stays the request's own, with its end. So does one in the background, which somebody has canceled.
func (c *Client) anew(ctx context.Context, r *Request, id string, request []byte) (string, error) {
	for r.Join && r.Now {
		record, err := c.Tasks.Results().Get(ctx, id)
		switch {
		case errors.Is(err, results.ErrNotFound):
			return id, nil
		case err != nil:
			return "", err
		case record.Status != results.Canceled || !record.StartedAt.IsZero() || !slices.Contains(c.digests(request, id), record.Digest):
			return id, nil
		}
		id = uuid.NewSHA1(uuid.Nil, []byte(id)).String()
	}
	return id, nil
}

// begin calls f in another goroutine. What it returns waits for the error, also more than once.
func begin(f func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return sync.OnceValue(func() error { return <-done })
}

func nothing() error { return nil }

// noteFirst notes the task of a first try, where its retries find it.
func (c *Client) noteFirst(ctx context.Context, key, id string) error {
	if err := c.redis.Set(ctx, key, id, c.JoinFor).Err(); err != nil {
		return fmt.Errorf("note the first try: %w", err)
	}
	return nil
}

// firstTry returns the id of the first try of a retry. If none is known the retry is one, under its own id.
func (c *Client) firstTry(ctx context.Context, key, id string) (string, error) {
	// Of two retries at the same time one sets the note, and the other finds it.
	set, err := c.redis.SetNX(ctx, key, id, c.JoinFor).Result()
	if err != nil || set {
		return id, err
	}
	first, err := c.redis.Get(ctx, key).Result()
	switch {
	case err == redis.Nil: // it has just lapsed
		return id, nil
	case err != nil:
		return "", fmt.Errorf("find the first try: %w", err)
	}
	return first, nil
}

// Result returns the record of a task of the request's key. A task of another key is results.ErrNotFound.
func (c *Client) Result(ctx context.Context, id string) (*results.Result, error) {
	if tasks.ValidateID(id) != nil {
		return nil, fmt.Errorf("%.200s: %w", id, results.ErrNotFound)
	}
	r, err := c.Tasks.Results().Get(ctx, id)
	switch {
	case err != nil:
		return nil, Unavailable(err)
	case !Owns(ctx, r.Tenant):
		return nil, fmt.Errorf("%s: %w", id, results.ErrNotFound)
	}
	return r, nil
}

func Owns(ctx context.Context, tenant string) bool {
	key := apikey.FromContext(ctx)
	return key == nil || key.Name == tenant
}

// Cancel ends a task of the request's key: see tasks.Client.Cancel.
func (c *Client) Cancel(ctx context.Context, id string) error {
	_, err := c.Result(ctx, id)
	if err == nil {
		_, err = c.Tasks.Cancel(ctx, id)
		err = Unavailable(err)
	}
	return err
}
