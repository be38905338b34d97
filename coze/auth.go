package coze

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// TokenSource gives the access token for each call. It must be safe for concurrent use and should be quick: it is asked
// every time.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// Refresher is a TokenSource that can get another token when Coze refuses one. A [Client] calls Refresh once for a call
// whose token was refused, and sends the call once more if the token is another one then.
//
// Refresh gets a token that is not rejected, or returns at once if that has happened already. It returns nil where
// there is no other token to be had at the moment, and an error where getting one failed: an [*Error], as of a server
// of tokens that does not answer, is what the call then fails with.
type Refresher interface {
	TokenSource
	Refresh(ctx context.Context, rejected string) error
}

// Identifier is a TokenSource whose tokens change while the account behind them stays. Identity names that account; it
// is no secret and must not be made of one. See [Client.Identity].
type Identifier interface {
	TokenSource
	Identity() string
}

// StaticToken is an access token that never changes. However it is printed, logged or marshalled, it shows nothing.
type StaticToken string

const redacted = "[redacted]"

// Token gives the token.
func (t StaticToken) Token(context.Context) (string, error) { return string(t), nil }

// String hides the token.
func (t StaticToken) String() string { return redacted }

// GoString hides the token from %#v.
func (t StaticToken) GoString() string { return `coze.StaticToken("` + redacted + `")` }

// Format hides the token from every verb: fmt shows the text of a Stringer to a wrong verb, as in %!d(...).
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
