// Package apikey says who may ask over HTTP, what, and how much. A [File] has the named keys of COZEQ_API_KEYS_FILE as
// SHA-256; [File.Lookup] finds the [Key] of a request, whose methods check what it asks for. [Limits] count what each key
// submits over all processes, in Redis.
//
// The name of a key is the tenant of its tasks and batches. Neither a key nor its hash reaches Redis, a log or an error.
//
// Where no keys are configured there is no Key: [FromContext] returns nil, and a nil Key may do everything.
package apikey

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Key is a named key and what it may. A zero field is no bound.
type Key struct {
	Name        string   // the tenant
	Bots        []string // ids
	Queues      []string
	Credential  string // what its questions are asked with
	Rate        Rate   // of submissions
	MaxInFlight int    // tasks that have not ended
	Expires     time.Time
	Operator    bool // it may see, pause and resume queues, which concerns all tenants
}

// Tenant is the name of the key, "" where there are no keys.
func (k *Key) Tenant() string {
	if k == nil {
		return ""
	}
	return k.Name
}

// ForbiddenError says that a key may not do what it asks for.
type ForbiddenError struct {
	Key  string // its name
	What string // as `bot "7342"`
	May  []string
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("the key %s may not use %s, only %s", e.Key, e.What, list(e.May))
}

func list(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// CheckOperator says whether the key may see, pause and resume queues.
func (k *Key) CheckOperator() error {
	if k == nil || k.Operator {
		return nil
	}
	return &ForbiddenError{Key: k.Name, What: "what concerns all tenants", May: []string{"its own tasks and batches"}}
}

// CheckBot says whether the key may ask a bot. The error is a *ForbiddenError, as that of the other checks.
func (k *Key) CheckBot(bot string) error {
	if k == nil {
		return nil
	}
	return k.check("bot", bot, k.Bots)
}

func (k *Key) CheckQueue(queue string) error {
	if k == nil {
		return nil
	}
	return k.check("queue", queue, k.Queues)
}

// CheckCredential says whether the key may have its questions asked with a credential. A question that names none gets the
// key's own: see Key.Credential.
func (k *Key) CheckCredential(name string) error {
	if k == nil || k.Credential == "" {
		return nil
	}
	return k.check("credential", name, []string{k.Credential})
}

func (k *Key) check(what, name string, may []string) error {
	if len(may) == 0 || slices.Contains(may, name) {
		return nil
	}
	return &ForbiddenError{Key: k.Name, What: fmt.Sprintf("%s %.80q", what, name), May: may}
}

type contextKey struct{}

func NewContext(ctx context.Context, k *Key) context.Context {
	return context.WithValue(ctx, contextKey{}, k)
}

// FromContext returns the key of a request, nil where no keys are configured.
func FromContext(ctx context.Context) *Key {
	k, _ := ctx.Value(contextKey{}).(*Key)
	return k
}
