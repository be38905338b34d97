package webhook

import (
	"cmp"
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

	// Field is what errors call it; "" = webhook.
	Field string `json:"-"`
}

// Parts of a target in errors.
const (
	whole    = ""
	ofURL    = ".url"
	ofSecret = ".secret"
)

func (t Target) invalid(part, format string, args ...any) error {
	return &tasks.InvalidError{Field: cmp.Or(t.Field, "webhook") + part, Reason: fmt.Sprintf(format, args...)}
}

// Check returns a *tasks.InvalidError for a target that no event can be delivered to. It asks no DNS: the address is
// checked again, and for good, whenever one is connected to.
func (c *Client) Check(t Target) error {
	_, _, err := c.complete(t)
	return err
}

func (s *Sender) Check(t Target) error { return s.client.Check(t) }

func (c *Client) complete(t Target) (Target, *url.URL, error) {
	if c.secrets == nil {
		return t, nil, t.invalid(whole, "there are no secrets to sign it with: the operator has to set COZEQ_WEBHOOK_SECRETS_FILE")
	}
	u, err := t.parse()
	if err != nil {
		return t, nil, err
	}
	if err := c.guard.checkHost(u.Hostname(), u.Scheme == "http"); err != nil {
		return t, nil, t.invalid(ofURL, "%v", err)
	}
	if t.Secret, err = c.secrets.current().choose(t.Tenant, t.Secret); err != nil {
		return t, nil, t.invalid(ofSecret, "%v", err)
	}
	return t, u, nil
}

// parse never repeats the URL in its error: it may hold a password.
func (t Target) parse() (*url.URL, error) {
	text := t.URL
	if text == "" {
		return nil, t.invalid(ofURL, "missing")
	}
	if len(text) > maxURL {
		return nil, t.invalid(ofURL, "%d bytes, want at most %d", len(text), maxURL)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, t.invalid(ofURL, "there are spaces or control characters in it")
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return nil, t.invalid(ofURL, "not a URL, want one such as https://example.com/hook")
	}
	port := u.Port()
	n, _ := strconv.Atoi(port)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, t.invalid(ofURL, "want one that begins with https://")
	case u.Hostname() == "":
		return nil, t.invalid(ofURL, "it names no host")
	case u.User != nil:
		return nil, t.invalid(ofURL, "there is a user or password in it: the signature says who sends it")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, t.invalid(ofURL, "a fragment (#) is never sent: leave it out")
	case strings.Contains(u.Hostname(), "%"):
		return nil, t.invalid(ofURL, "an address with a zone (%%) is of this machine's network only")
	case port != "" && (n < 1 || n > 65535), strings.HasSuffix(u.Host, ":"):
		return nil, t.invalid(ofURL, "its port is not a number from 1 to 65535")
	}
	return u, nil
}

// shown is a URL for logs and errors: without its query, which may hold a token.
func shown(u *url.URL) string { return u.Host + u.EscapedPath() }
