package batches

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Kinds of batches.
const (
	// KindDetached is a submitted file. Its rows and its results are in Redis.
	KindDetached = ""

	// KindRun is the file of a run, which enqueues rows step by step and takes results out as they come. Redis has the
	// states of its rows and the name of its output.
	KindRun = "run"
)

// DefaultKeep is how long a batch is kept after its last row has ended.
const DefaultKeep = 7 * 24 * time.Hour

// maxRows bounds a batch, because its states are one string that is written at once.
const maxRows = 50_000_000

// ErrNotFound is returned for an id without a batch: it was never submitted here, or has expired.
var ErrNotFound = errors.New("no such batch")

// ErrCanceled is returned for rows that are added to a canceled batch.
var ErrCanceled = errors.New("the batch was canceled")

// ErrIsRun is returned where a batch must have its rows in Redis and is the batch of a run.
var ErrIsRun = errors.New("the batch is of a run: its questions and answers are in that run's files")

// Spec says what a batch is and how its rows are asked.
type Spec struct {
	ID     string
	Kind   string // KindDetached or KindRun
	Name   string // of the file, without its directories
	Rows   int
	SHA256 string // over everything that decides what is asked
	Format string // of the file
	BotID  string // of rows that name none
	Queue  string // empty: default
	Tenant string // see tasks.Chat; Add sets it in each row

	// Columns are the names of the cells that each row carries to the output.
	Columns []string

	// Shape is what else the caller needs to write the output. This package does not read it.
	Shape string

	// Note is what else the caller wants to know of the batch later. This package does not read it.
	Note string

	Keep      time.Duration // how long it is kept after its end; 0 = DefaultKeep
	Attempts  int           // see tasks.Options
	Timeout   time.Duration // see tasks.Options
	ExpiresAt time.Time     // nothing is asked after it; zero = no limit

	// Output and Host are where the answers of a run are.
	Output string
	Host   string
}

// Status is a batch with its progress. A time is zero until its event.
type Status struct {
	Spec

	CreatedAt   time.Time
	SubmittedAt time.Time // all rows were added
	EndedAt     time.Time // the last row ended
	CanceledAt  time.Time

	// Sealed is set if Columns, Shape and Note are encrypted and cannot be read. They are empty then, and reading rows fails
	// with the same error.
	Sealed *results.SealedError

	// Enqueued is how many rows, from the first, have been enqueued at least once. A submission resumes behind them.
	Enqueued int

	Counts Counts

	// Tokens is Coze's count for all chats of the batch, including failed ones and earlier attempts.
	Tokens results.Usage

	// Failures are the failed rows by class and code, the most frequent first.
	Failures []FailureCount
}

// The states of a batch.
const (
	StateSubmitting = "submitting" // not all rows are in Redis yet; an interrupted submission leaves it so
	StateOpen       = "open"
	StateCanceling  = "canceling" // workers are ending its running rows
	StateDone       = "done"
	StateCanceled   = "canceled"
)

// State is the state of the batch as a whole.
func (b *Status) State() string {
	ended := b.Counts.Open() == 0
	switch {
	case !b.CanceledAt.IsZero() && ended:
		return StateCanceled
	case !b.CanceledAt.IsZero():
		return StateCanceling
	case ended:
		return StateDone
	case b.SubmittedAt.IsZero() && b.Kind == KindDetached:
		return StateSubmitting
	}
	return StateOpen
}

// Counts are the rows of a batch by their states. Total is always the sum of the others. Rows that are not enqueued yet
// count as queued.
type Counts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Canceled  int `json:"canceled"`
	Expired   int `json:"expired"`
	Waiting   int `json:"waiting"`
	Running   int `json:"running"`
	Queued    int `json:"queued"`
}

// Open is how many rows have not ended.
func (c Counts) Open() int { return c.Waiting + c.Running + c.Queued }

// FailureCount is the number of rows that failed for one reason.
type FailureCount struct {
	Class string `json:"class"`
	Code  int    `json:"code,omitempty"` // Coze's; 0 = none
	Count int    `json:"count"`
}

func (b *Spec) complete() error {
	if err := ValidateID(b.ID); err != nil {
		return err
	}
	if b.Queue == "" {
		b.Queue = tasks.QueueDefault
	}
	if b.Keep == 0 {
		b.Keep = DefaultKeep
	}
	if b.Tenant != "" {
		if err := tasks.ValidateTenant(b.Tenant); err != nil {
			return err
		}
	}
	if b.Rows < 1 || b.Rows > maxRows {
		return invalid("rows", "%d, want 1 to %d: split the file", b.Rows, maxRows)
	}
	if b.Kind != KindDetached && b.Kind != KindRun {
		return invalid("kind", "%q, want %q or %q", b.Kind, KindDetached, KindRun)
	}
	if b.Keep < time.Second {
		return invalid("keep", "%v, want at least 1s", b.Keep)
	}
	return (tasks.Options{Queue: b.Queue, Attempts: b.Attempts, Timeout: b.Timeout}).Validate()
}

// fields are the fields of the hash that never change, for HSET.
func (b *Spec) fields(keys *results.Keys, created time.Time) []any {
	var f []any
	str := func(name, value string) {
		if value != "" {
			f = append(f, name, value)
		}
	}
	number := func(name string, n int) {
		if n != 0 {
			f = append(f, name, n)
		}
	}
	str("id", b.ID)
	str("kind", b.Kind)
	str("name", b.Name)
	number("rows", b.Rows)
	str("sha256", b.SHA256)
	str("format", b.Format)
	str("bot_id", b.BotID)
	str("queue", b.Queue)
	str("tenant", b.Tenant)
	if len(b.Columns) > 0 {
		columns, _ := json.Marshal(b.Columns) // strings always marshal
		str("columns", keys.Seal(b.ID, fieldColumns, string(columns)))
	}
	str("shape", keys.Seal(b.ID, fieldShape, b.Shape))
	str("note", keys.Seal(b.ID, fieldNote, b.Note))
	number("keep", int(tally.Seconds(b.Keep)))
	number("attempts", b.Attempts)
	number("timeout", int(tally.Seconds(b.Timeout)))
	if !b.ExpiresAt.IsZero() {
		str("expires_at", results.At(b.ExpiresAt).String())
	}
	str("output", b.Output)
	str("host", b.Host)
	str("created_at", results.At(created).String())
	return f
}

func parse(hash map[string]string, keys *results.Keys) (*Status, error) {
	var failed error
	number := func(name string) int {
		text, ok := hash[name]
		if !ok {
			return 0
		}
		n, err := strconv.Atoi(text)
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
		return n
	}
	at := func(name string) time.Time {
		text, ok := hash[name]
		if !ok {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
		return t
	}
	b := &Status{Spec: Spec{
		ID: hash["id"], Kind: hash["kind"], Name: hash["name"], Rows: number("rows"),
		SHA256: hash["sha256"], Format: hash["format"], BotID: hash["bot_id"], Queue: hash["queue"], Tenant: hash["tenant"],
		Keep:     time.Duration(number("keep")) * time.Second,
		Attempts: number("attempts"), Timeout: time.Duration(number("timeout")) * time.Second,
		ExpiresAt: at("expires_at"), Output: hash["output"], Host: hash["host"],
	},
		CreatedAt: at("created_at"), SubmittedAt: at("submitted_at"), EndedAt: at("ended_at"), CanceledAt: at("canceled_at"),
		Enqueued: number("enqueued"),
		Counts: Counts{
			Total:     number("rows"),
			Completed: number("completed"), Failed: number("failed"), Canceled: number("canceled"), Expired: number("expired"),
			Waiting: number("waiting"), Running: number("running"), Queued: number("queued"),
		},
		Tokens: results.Usage{
			TokenCount:  int64(number("tokens")),
			OutputCount: int64(number("output_tokens")),
			InputCount:  int64(number("input_tokens")),
		},
	}
	var sealed, hidden error
	b.Shape, sealed = keys.Open(b.ID, fieldShape, hash["shape"])
	b.Note, hidden = keys.Open(b.ID, fieldNote, hash["note"])
	text, err := keys.Open(b.ID, fieldColumns, hash["columns"])
	b.Sealed, _ = errors.AsType[*results.SealedError](cmp.Or(sealed, hidden, err))
	if text != "" {
		if err := json.Unmarshal([]byte(text), &b.Columns); err != nil && failed == nil {
			failed = fmt.Errorf("columns: %w", err)
		}
	}
	for name := range hash {
		label, ok := strings.CutPrefix(name, tally.FailedField)
		if !ok {
			continue
		}
		if n := number(name); n > 0 {
			class, code, _ := strings.Cut(label, ":")
			f := FailureCount{Class: class, Count: n}
			f.Code, _ = strconv.Atoi(code)
			b.Failures = append(b.Failures, f)
		}
	}
	slices.SortFunc(b.Failures, func(x, y FailureCount) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Class, y.Class), cmp.Compare(x.Code, y.Code))
	})
	if failed != nil {
		return nil, fmt.Errorf("read batch %s: %w", b.ID, failed)
	}
	return b, nil
}
