package webhook

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/tasks"
)

// maxURL bounds a target's URL, in bytes.
const maxURL = 2048

// Target is where an event is posted to, and what signs it.
type Target struct {
	URL    string `json:"url"`
	Secret string `json:"secret,omitempty"` // its name; "" chooses one, see docs/webhooks.md

	// Tenant is the name of the API key that asks for it, "" where there are none. It signs with secrets of its own only.
	Tenant string `json:"-"`
}

// Names of the fields in errors.
const (
	fieldURL    = "webhook.url"
	fieldSecret = "webhook.secret"
)

func invalid(field, format string, args ...any) error {
	return &tasks.InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Check returns a *tasks.InvalidError for a target that no event can be delivered to. It asks no DNS: the address is
// checked again, and for good, whenever one is connected to.
func (s *Sender) Check(t Target) error {
	_, err := s.complete(t)
	return err
}

// complete checks a target and gives it the name of its secret.
func (s *Sender) complete(t Target) (Target, error) {
	if s.secrets == nil {
		return t, invalid("webhook", "there are no secrets to sign it with: the operator has to set COZEQ_WEBHOOK_SECRETS_FILE")
	}
	u, err := parseURL(t.URL)
	if err != nil {
		return t, err
	}
	if err := s.guard.checkHost(u.Hostname(), u.Scheme == "http"); err != nil {
		return t, invalid(fieldURL, "%v", err)
	}
	if t.Secret, err = s.secrets.current().choose(t.Tenant, t.Secret); err != nil {
		return t, invalid(fieldSecret, "%v", err)
	}
	return t, nil
}

// parseURL never repeats the URL in its error: it may hold a password.
func parseURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, invalid(fieldURL, "missing")
	}
	if len(text) > maxURL {
		return nil, invalid(fieldURL, "%d bytes, want at most %d", len(text), maxURL)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, invalid(fieldURL, "there are spaces or control characters in it")
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return nil, invalid(fieldURL, "not a URL, want one such as https://example.com/hook")
	}
	port := u.Port()
	n, _ := strconv.Atoi(port)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, invalid(fieldURL, "want one that begins with https://")
	case u.Hostname() == "":
		return nil, invalid(fieldURL, "it names no host")
	case u.User != nil:
		return nil, invalid(fieldURL, "there is a user or password in it: the signature says who sends it")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, invalid(fieldURL, "a fragment (#) is never sent: leave it out")
	case strings.Contains(u.Hostname(), "%"):
		return nil, invalid(fieldURL, "an address with a zone (%%) is of this machine's network only")
	case port != "" && (n < 1 || n > 65535), strings.HasSuffix(u.Host, ":"):
		return nil, invalid(fieldURL, "its port is not a number from 1 to 65535")
	}
	return u, nil
}

// shown is a URL for logs and errors: without its query, which may hold a token.
func shown(u *url.URL) string { return u.Host + u.EscapedPath() }
