package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Bounds of one delivery.
const (
	dialTimeout = 10 * time.Second
	drainFor    = time.Second // an answer that has its status is read for this long, so that its connection can be used again
	maxAnswer   = 64 << 10
	maxHeader   = 64 << 10
	idleFor     = 30 * time.Second
	idlePerHost = 4
)

// ClientConfig says who signs what is posted, and to whom it may go.
type ClientConfig struct {
	// Secrets sign; nil: there are none, and Check refuses every target.
	Secrets *Secrets

	// Allow are networks that may be posted to although they are not public: see ParseAllow.
	Allow []netip.Prefix

	Agent string // User-Agent; "" = cozeq

	// Resolver and RootCAs are those of the system where they are nil.
	Resolver *net.Resolver
	RootCAs  *x509.CertPool
}

// Client posts signed bodies. Addresses are checked when they are connected to, after DNS, so a name that resolves to another
// address a moment later is no way around the guard. Proxies of the environment are not used: behind one, the guard would
// see the proxy's address alone.
type Client struct {
	plain, secure *http.Client // for http, which the guard allows to few addresses, and for https
	secrets       *Secrets
	guard         *guard
	agent         string
}

func NewClient(c ClientConfig) *Client {
	g := &guard{c.Allow}
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
				DisableCompression:     true, // an answer is short, or read by nobody
				MaxResponseHeaderBytes: maxHeader,
				MaxIdleConnsPerHost:    idlePerHost,
				IdleConnTimeout:        idleFor,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Client{plain: one(true), secure: one(false), secrets: c.Secrets, guard: g, agent: cmp.Or(c.Agent, "cozeq")}
}

func (c *Client) close() {
	c.plain.CloseIdleConnections()
	c.secure.CloseIdleConnections()
}

// keysOf are the secrets of this name that the tenant may sign with; none: they are not in the file any more.
func (c *Client) keysOf(tenant, name string) [][]byte {
	if c.secrets == nil || !owns(tenant, name) {
		return nil
	}
	return c.secrets.current().keys[name]
}

// send sends a signed body once. last closes its connection then.
func (c *Client) send(ctx context.Context, to *url.URL, keys [][]byte, id string, body []byte, last bool) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Close = last
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.agent)
	sign(req.Header, keys, id, time.Now(), body)
	via := c.secure
	if to.Scheme == "http" {
		via = c.plain
	}
	resp, err := via.Do(req)
	return resp, withoutURL(err)
}

// post delivers an event once. ctx bounds it, with a cause that says so.
func (c *Client) post(ctx context.Context, to *url.URL, keys [][]byte, id string, body []byte) attempt {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.send(ctx, to, keys, id, body, false)
	if err != nil {
		return failed(ctx, err)
	}
	defer resp.Body.Close()
	defer time.AfterFunc(drainFor, cancel).Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // whatever it says: the status has told
	return judge(resp, time.Now())
}

// withoutURL takes the URL out of an error of net/http, and with it a token in its query.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
