package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/terminal"
)

// reachTime bounds one request to see whether Coze is there.
const reachTime = 7 * time.Second

// way records the steps of one request: proxy, address, TLS, reply.
type way struct {
	url   *url.URL
	proxy string // host and port; empty: none
	addr  string // of who answered
	took  time.Duration
	tls   *tls.ConnectionState
	ahead time.Duration // this machine's clock against the server's; a second is as exact as it gets
	dated bool
}

// reach sends a request without a token. Any reply of Coze will do.
func reach(ctx context.Context, agent, base string) (way, error) {
	u, err := url.Parse(strings.TrimRight(base, "/") + "/")
	if err != nil {
		return way{}, err
	}
	w := way{url: u}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { w.addr = c.Conn.RemoteAddr().String() },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return w, err
	}
	req.Header.Set("User-Agent", agent)
	transport := coze.NewTransport(1)
	defer transport.CloseIdleConnections()
	if through, err := transport.Proxy(req); err == nil && through != nil {
		w.proxy = through.Host
	}
	began := time.Now()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return w, err
	}
	defer resp.Body.Close()
	w.took = time.Since(began)
	w.tls = resp.TLS
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// The header is cut to seconds, and was written some time between sending and now.
		w.ahead, w.dated = began.Add(w.took/2).Sub(at.Add(500*time.Millisecond)), true
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return w, nil
}

// certificateWarning is how long before its end a certificate is a warning.
const certificateWarning = 14 * 24 * time.Hour

// Skews that matter: Coze takes an OAuth app's assertion from a clock that is up to a
// minute ahead or ten behind, and times of tasks that are a minute off mislead.
const (
	skewWarning = 30 * time.Second
	skewAhead   = 55 * time.Second
	skewBehind  = 9 * time.Minute
)

// route are the findings about the connection to a base URL. open is true if calls can be made. subject is empty for the
// default URL.
func route(ctx context.Context, agent, subject, base string, apps bool) (found []finding, open bool) {
	w, err := reach(ctx, agent, base)
	if w.url == nil {
		return nil, false
	}
	host := w.url.Hostname()
	if err != nil {
		return []finding{unreached(subject, host, w, err)}, false
	}
	remote, _, _ := net.SplitHostPort(w.addr)
	if net.ParseIP(host) == nil && w.proxy == "" {
		found = append(found, well(checkName("coze.dns", subject), "%s is %s", host, remote))
	}
	through := ""
	if w.proxy != "" {
		through = ", through the proxy " + w.proxy
	}
	found = append(found, well(checkName("coze.connect", subject), "%s answers in %s%s", w.url.Host, millisText(w.took), through))
	if w.tls != nil {
		found = append(found, certificate(checkName("coze.tls", subject), w.tls, "renew the certificate of "+host))
	}
	return append(found, w.clock(checkName("coze.clock", subject), apps)...), true
}

// unreached says how far the request came.
func unreached(subject, host string, w way, err error) finding {
	fix := "let this machine reach " + w.url.Host + ": look at firewalls, or set HTTPS_PROXY; and check COZE_API_BASE"
	switch {
	case w.proxy != "":
		return failed(checkName("coze.connect", subject), "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY", "the proxy %s: %v", w.proxy, bare(err))
	case is[*net.DNSError](err):
		return failed(checkName("coze.dns", subject), "check the name in COZE_API_BASE, and this machine's name servers", "%s is not known: %v", host, bare(err))
	case is[*tls.CertificateVerificationError](err):
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
			fix = "set this machine's clock; if it is right, renew the certificate of " + host
		} else {
			fix = "install the certificates of the system (ca-certificates), or let SSL_CERT_FILE name the one that your proxy signs with"
		}
		return failed(checkName("coze.tls", subject), fix, "%v", bare(err))
	case is[tls.RecordHeaderError](err), is[tls.AlertError](err):
		return failed(checkName("coze.tls", subject), "check scheme and port in COZE_API_BASE", "no TLS: %v", bare(err))
	case errors.Is(err, context.DeadlineExceeded):
		return failed(checkName("coze.connect", subject), fix, "%s does not answer within %v", w.url.Host, reachTime)
	}
	return failed(checkName("coze.connect", subject), fix, "%v", bare(err))
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// bare is an error without the request's URL and verb.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// certificate checks how long the server's certificate is valid.
func certificate(name string, state *tls.ConnectionState, fix string) finding {
	if len(state.PeerCertificates) == 0 {
		return skipped(name, "no certificate was shown")
	}
	end := state.PeerCertificates[0].NotAfter
	left, until := time.Until(end), end.UTC().Format(time.DateOnly)
	if left < certificateWarning {
		return warned(name, fix, "%s, certificate good until %s, %d days more", tls.VersionName(state.Version), until, int(left.Hours()/24))
	}
	return well(name, "%s, certificate good until %s", tls.VersionName(state.Version), until)
}

// clock compares this machine's with Coze's.
func (w way) clock(name string, apps bool) []finding {
	if !w.dated {
		return []finding{skipped(name, "the answer has no date")}
	}
	const fix = "set this machine's clock: start chrony or systemd-timesyncd"
	side := "ahead of"
	if w.ahead < 0 {
		side = "behind"
	}
	off := w.ahead.Abs()
	switch {
	case apps && (w.ahead > skewAhead || w.ahead < -skewBehind):
		return []finding{failed(name, fix, "%s %s Coze's: it gives an OAuth app no token", terminal.Rounded(off), side)}
	case off > skewWarning:
		return []finding{warned(name, fix, "%s %s Coze's", terminal.Rounded(off), side)}
	}
	return []finding{well(name, "as Coze's, within %s", terminal.Rounded(max(time.Second, off)))}
}
