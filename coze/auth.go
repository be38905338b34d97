package coze

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// TokenSource supplies the access token of each call. It must be safe for concurrent use and quick: every call asks it.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// Refresher is a TokenSource that can get a new token when Coze refuses one. A [Client] calls Refresh once for a call whose
// token was refused, and sends the call again if Token then returns another one.
//
// Refresh replaces the token rejected, or returns at once if that has already happened. It returns nil also if there is no
// other token at the moment, and an error if getting one failed; if that is an [*Error], the call fails with it.
type Refresher interface {
	TokenSource
	Refresh(ctx context.Context, rejected string) error
}

// Identifier is a TokenSource whose tokens change while the account stays. Identity names the account; it is not secret
// and must not be derived from a secret. See [Client.Identity].
type Identifier interface {
	TokenSource
	Identity() string
}

// StaticToken is an access token that never changes. Printing, logging or marshalling it never shows it.
type StaticToken string

const redacted = "[redacted]"

// Token returns the token.
func (t StaticToken) Token(context.Context) (string, error) { return string(t), nil }

// String hides the token.
func (t StaticToken) String() string { return redacted }

// GoString hides the token from %#v.
func (t StaticToken) GoString() string { return `coze.StaticToken("` + redacted + `")` }

// Format hides the token from every verb: for a wrong verb fmt prints the text itself, as in %!d(...).
func (t StaticToken) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, t.GoString())
		return
	}
	_, _ = io.WriteString(f, redacted)
}

// LogValue hides the token from slog.
func (t StaticToken) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the token from encoders.
func (t StaticToken) MarshalText() ([]byte, error) { return []byte(redacted), nil }
