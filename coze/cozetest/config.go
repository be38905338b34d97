package cozetest

import (
	"cmp"
	"crypto/rsa"
	"strconv"
	"time"
)

// Config says how a Fake behaves. The zero value answers every question at
// once, takes any token and knows every bot. Fields are set before first use.
type Config struct {
	// Tokens are the accepted personal access tokens. None: any non-empty one.
	Tokens []string
	// OAuthKey is the public key of an OAuth app of type JWT. With it POST
	// /api/permission/oauth2/token gives a token for every assertion that is signed
	// by its private key, whatever the app's id, and unless there are Tokens too, the
	// tokens given there are the only ones accepted, so that Server.Client's is not.
	// Without it there is no app.
	OAuthKey *rsa.PublicKey
	// OAuthLife bounds the life of those tokens, in whole seconds. 0: as asked for.
	OAuthLife time.Duration
	// Bots are the ids of the bots that exist. None: any non-empty id.
	Bots []string
	// Workflows are the ids of the workflows that exist. None: any non-empty id.
	Workflows []string
	// NoAsync refuses asynchronous runs of workflows with 6003, as Coze does on free plans.
	NoAsync bool

	// Delay is the time before the first byte of every reply, refusals included.
	Delay time.Duration
	// Latency is the time from in_progress to the first delta: the model thinking.
	Latency time.Duration
	// DeltaPace is the time after each delta. A chat takes
	// Latency + DeltaPace times its deltas, whether or not anyone listens.
	DeltaPace time.Duration
	// Deltas is how many pieces an answer is cut into, at most one a rune.
	// Defaults to 8.
	Deltas int
	// FollowUps is how many suggested questions follow an answer, at most 3.
	// Defaults to 3; negative for none.
	FollowUps int

	// Rate bounds chats, chat/retrieve and chat/message/list together, in calls
	// a second, as Coze's QPS does, and all calls of workflows. Calls beyond it are refused with code 4013
	// in a 200 envelope. 0: no bound.
	Rate float64
	// RateHTTP makes that refusal an HTTP 429 with Retry-After instead.
	RateHTTP bool

	// Seed makes ids and percentages differ between runs; the same seed and the
	// same calls give the same ids.
	Seed uint64
	// Answer gives the answer to a question (without its directives). Nil: a
	// canned one that names the question and, from the second turn of a
	// conversation on, the turn and the question before.
	Answer func(question string) string
	// Rules are the scripted faults; the first that applies to an ask wins.
	Rules Script
	// NoDirectives makes [[mock:...]] in a question plain text.
	NoDirectives bool
	// NoMetaData loses the meta_data of messages, so that lists give none back.
	NoMetaData bool
	// CancelEnds makes a canceled chat's open stream end with the event
	// conversation.chat.canceled. Coze's documentation says that its stream goes
	// on to the end as if nothing had happened, and that is the default.
	CancelEnds bool

	// KeepLog is how many requests Requests remembers, the newest ones.
	// 0: all; negative: none.
	KeepLog int
	// Forget drops a conversation that long after its last chat ended; later
	// calls for it are refused with 4002. 0: never. With KeepLog it bounds the
	// memory of a soak run to the hashes of its questions, some 30 bytes each.
	Forget time.Duration
	// Log is called with every request when its reply is decided, from the
	// goroutine that serves it. It may be nil, and must be safe for concurrent use.
	Log func(Request)
	// Now stamps created_at and the like. Nil: time.Now. Waiting and the length
	// of chats always follow the real clock (or that of a synctest bubble).
	Now func() time.Time
}

// An Option changes the configuration of New and NewInMemory.
type Option func(*Config)

// With replaces the whole configuration.
func With(c Config) Option { return func(dst *Config) { *dst = c } }

// WithRules appends scripted faults.
func WithRules(rules ...Rule) Option {
	return func(c *Config) { c.Rules = append(c.Rules, rules...) }
}

func newConfig(opts []Option) Config {
	var c Config
	for _, o := range opts {
		o(&c)
	}
	return c
}

// token is one that the fake accepts, for Server.Client.
func (c *Config) token() string {
	if len(c.Tokens) > 0 {
		return c.Tokens[0]
	}
	return "pat_cozetest"
}

func (c *Config) deltas() int {
	if c.Deltas <= 0 {
		return 8
	}
	return c.Deltas
}

func (c *Config) followUps() int {
	return min(max(cmp.Or(c.FollowUps, 3), 0), 3)
}

func (c *Config) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// firstID is the id before the first one handed out. Coze's ids are int64 of 19
// digits: beyond 2^53, so that a reader who takes them for numbers is found out.
func (c *Config) firstID() int64 {
	return 7_300_000_000_000_000_000 + int64(c.Seed%100_000)*1_000_000_000_000
}

func formatID(n int64) string { return strconv.FormatInt(n, 10) }
