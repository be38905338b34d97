package coze

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// NoReply judges the failure of a call to another of Coze's endpoints as this package judges its own.
func NoReply(op string, err error) *Error {
	e := &Error{Op: op}
	e.unreached(err, true)
	return e
}

// unreached judges a failure of the transport; unsent means that nothing was sent. A refusal on the way, such as a
// proxy's, has class endpoint; a network that is down may be back in a moment, class transient.
func (e *Error) unreached(err error, unsent bool) {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // Op stands for the method and the URL
	}
	e.Class, e.Err = ClassTransient, err
	if !unsent {
		return // there was a connection
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

// proxyError is a proxy's refusal to connect. net/http's own error is only a text.
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
