package coze

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// NoReply is the error of a call of another of Coze's endpoints to which no reply came, as this package judges its own.
func NoReply(op string, err error) *Error {
	e := &Error{Op: op}
	e.unreached(err, true)
	return e
}

// unreached judges a failure of the transport, from which nothing has got out if unsent is true. What the way there refuses, and would refuse whatever is asked, is of class
// endpoint; a network that is away may be back in a moment.
func (e *Error) unreached(err error, unsent bool) {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // what it adds, the method and the URL, is Op's to say
	}
	e.Class, e.Err = ClassTransient, err
	if !unsent {
		return // the way there is open
	}
	e.Unreached, e.hint = true, hintUnreached.EN
	var proxy *proxyError
	switch {
	case errors.As(err, &proxy):
		if proxy.status < 500 {
			e.Unreached, e.Class, e.Scope, e.hint = false, ClassEndpoint, ScopeAccount, hintProxy.EN
		}
	case isError[*tls.CertificateVerificationError](err), isError[tls.RecordHeaderError](err), errors.Is(err, http.ErrSchemeMismatch):
		e.Unreached, e.Class, e.Scope, e.hint = false, ClassEndpoint, ScopeAccount, hintTLS.EN
	}
}

func isError[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// proxyError is a proxy that makes no connection to Coze. net/http's own error for it is a text.
type proxyError struct {
	host   string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answers %d %s", e.host, e.status, http.StatusText(e.status))
}

// connected is a Transport.OnProxyConnectResponse.
func connected(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{proxy.Host, resp.StatusCode}
}
