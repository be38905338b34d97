package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Bounds of one delivery.
const (
	defaultTimeout = 20 * time.Second // the standard advises 15 to 30 s
	dialTimeout    = 10 * time.Second
	drainFor       = time.Second // an answer that has its status is read for this long, so that its connection can be used again
	maxAnswer      = 64 << 10
	maxHeader      = 64 << 10
	idleFor        = 30 * time.Second
	idlePerHost    = 4
)

// client posts events. Addresses are checked when they are connected to, after DNS, so a name that resolves to another
// address a moment later is no way around the guard. Proxies of the environment are not used: behind one, the guard would
// see the proxy's address alone.
type client struct {
	plain, secure *http.Client // for http, which the guard allows to few addresses, and for https
	agent         string
	timeout       time.Duration
}

func newClient(g *guard, c *Config) *client {
	one := func(plain bool) *http.Client {
		dialer := &net.Dialer{
			Timeout:  dialTimeout,
			Resolver: c.Resolver,
			ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
				to, err := netip.ParseAddrPort(address)
				if err != nil {
					return fmt.Errorf("%q is no address", address)
				}
				return g.check(to.Addr(), plain)
			},
		}
		return &http.Client{
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
				TLSHandshakeTimeout:    dialTimeout,
				ForceAttemptHTTP2:      true,
				DisableCompression:     true, // nobody reads the answer
				MaxResponseHeaderBytes: maxHeader,
				MaxIdleConnsPerHost:    idlePerHost,
				IdleConnTimeout:        idleFor,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &client{plain: one(true), secure: one(false), agent: c.Agent, timeout: c.Timeout}
}

func (c *client) close() {
	c.plain.CloseIdleConnections()
	c.secure.CloseIdleConnections()
}

// outcome is what became of a try, by the names that the metrics have for it.
type outcome string

const (
	delivered   outcome = "delivered"
	refused     outcome = "refused"     // a status that is no success
	gone        outcome = "gone"        // 410: the receiver wants no more of it
	timedOut    outcome = "timeout"     // no answer in time
	unreachable outcome = "unreachable" // no name, no connection, no TLS
	blockedAddr outcome = "blocked"     // an address that deliveries may not go to
	unsigned    outcome = "unsigned"    // its secret is not in the file any more
)

var outcomes = []outcome{delivered, refused, gone, timedOut, unreachable, blockedAddr, unsigned}

// attempt is one try of a delivery.
type attempt struct {
	outcome    outcome
	why        string        // of a failure, without the URL's query
	throttled  bool          // the receiver asks for fewer requests
	retryAfter time.Duration // what the receiver asks for, 0 = nothing
}

// post sends a signed body once.
func (c *client) post(ctx context.Context, to *url.URL, keys [][]byte, id string, body []byte) attempt {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return attempt{outcome: unreachable, why: withoutURL(err).Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.agent)
	now := time.Now()
	sign(req.Header, keys, id, now, body)
	via := c.secure
	if to.Scheme == "http" {
		via = c.plain
	}
	resp, err := via.Do(req)
	if err != nil {
		return failed(ctx, err, c.timeout)
	}
	defer resp.Body.Close()
	defer time.AfterFunc(drainFor, cancel).Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // whatever it says: the status has told
	return judge(resp, now)
}

// failed is a try without an answer.
func failed(ctx context.Context, err error, timeout time.Duration) attempt {
	err = withoutURL(err)
	if b, ok := errors.AsType[*BlockedError](err); ok {
		return attempt{outcome: blockedAddr, why: b.Error()}
	}
	if t, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && t.Timeout() {
		return attempt{outcome: timedOut, why: fmt.Sprintf("no answer within %v", timeout)}
	}
	return attempt{outcome: unreachable, why: err.Error()}
}

// withoutURL takes the URL out of an error of net/http, and with it a token in its query.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// judge is a try that was answered.
func judge(resp *http.Response, now time.Time) attempt {
	code := resp.StatusCode
	a := attempt{outcome: refused, why: "the receiver answered " + strconv.Itoa(code) + " " + http.StatusText(code)}
	switch {
	case code >= 200 && code < 300:
		return attempt{outcome: delivered}
	case code >= 300 && code < 400:
		a.why += ": redirects are not followed, set the URL that it leads to"
	case code == http.StatusGone:
		a.outcome = gone
	case code == http.StatusTooManyRequests, code == http.StatusBadGateway,
		code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		a.throttled = true
	}
	a.retryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	return a
}

// retryAfter reads seconds or a date; 0 where there is neither.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(value); err == nil {
		return min(max(0, time.Duration(n)), maxRetryAfter/time.Second) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), maxRetryAfter)
	}
	return 0
}
