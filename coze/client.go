package coze

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The two regions. They share no accounts, tokens or bots.
const (
	DefaultBaseURL = "https://api.coze.cn"
	BaseURLCom     = "https://api.coze.com"
)

const (
	defaultIdle      = 2 * time.Minute
	defaultMaxEvent  = 8 << 20
	defaultUserAgent = "cozeq"
)

// Client calls Coze. Its zero value with Auth works. Set fields before the first call; after it, a Client is safe for
// concurrent use and must not be copied.
type Client struct {
	BaseURL   string        // "" = DefaultBaseURL
	Auth      TokenSource   // required
	HTTP      *http.Client  // nil = one over NewTransport(64), shared by all clients; a Timeout would cut streams. Redirects are never followed
	Idle      time.Duration // the longest silence between two events of a stream, and any other call's longest time; 0 = 2 min. Any call but a chat has 30 s for its reply to begin
	MaxEvent  int           // bytes of an event, of all answers of a stream, and, above 8 MiB, of a reply; 0 = 8 MiB
	Codes     *CodeTable    // nil = the built-in table
	UserAgent string        // "" = cozeq

	once    sync.Once
	client  *http.Client // HTTP without redirects
	base    url.URL
	baseErr error
	mu      sync.RWMutex
	token   string      // the token in header
	header  http.Header // never changed in place: calls clone it
	http1   atomic.Bool // the last reply came over HTTP/1
}

// setUp reads BaseURL and HTTP once.
func (c *Client) setUp() {
	c.client = shared()
	if c.HTTP != nil {
		c.client = NoRedirects(c.HTTP)
	}
	raw := c.BaseURL
	if raw == "" {
		raw = DefaultBaseURL
	}
	base, err := url.Parse(strings.TrimRight(raw, "/"))
	switch {
	case err != nil:
		c.baseErr = errors.New("the base URL is not a URL") // url.Parse's error may quote a password
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		c.baseErr = errors.New("the base URL needs to be http:// or https:// and a host, as " + DefaultBaseURL)
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		c.baseErr = errors.New("the base URL must have no user, query or fragment")
	default:
		c.base = *base
	}
}

func (c *Client) idle() time.Duration {
	if c.Idle > 0 {
		return c.Idle
	}
	return defaultIdle
}

func (c *Client) maxEvent() int {
	if c.MaxEvent > 0 {
		return c.MaxEvent
	}
	return defaultMaxEvent
}

// authorize returns the request's header and the token in it. The error is never an *Error.
func (c *Client) authorize(ctx context.Context) (http.Header, string, error) {
	if c.Auth == nil {
		return nil, "", errors.New("the client has no token source")
	}
	token, err := c.Auth.Token(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("no token: %w", err)
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return nil, "", errors.New("the token is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, "", errors.New("the token has a space or a character that no token has")
	}
	c.mu.RLock()
	header := c.header
	if token != c.token {
		header = nil
	}
	c.mu.RUnlock()
	if header == nil {
		header = c.newHeader(token)
		c.mu.Lock()
		c.token, c.header = token, header
		c.mu.Unlock()
	}
	return header, token, nil
}

func (c *Client) newHeader(token string) http.Header {
	agent := c.UserAgent
	if agent == "" {
		agent = defaultUserAgent
	}
	return http.Header{
		"Authorization": {"Bearer " + token},
		"Content-Type":  {"application/json"},
		"User-Agent":    {agent},
	}
}
