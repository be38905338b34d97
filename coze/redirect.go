package coze

import (
	"net/http"
	"net/url"
	"strings"
)

// NoRedirects is a copy of a client that follows no redirect and returns the redirecting reply. net/http decides by the
// host's name alone which headers follow a redirect: a token would go from https to http, to another port and to a
// subdomain, and with 307 and 308 the question would go to any host.
func NoRedirects(client *http.Client) *http.Client {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// RedirectTarget is the target of a redirecting reply, "" if it names none. User, query and fragment are left out: they
// may hold a secret.
func RedirectTarget(resp *http.Response) string {
	target, err := resp.Location()
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}).String()
}

// redirected sets the message to the redirect's target, and the hint to the base URL that leads there directly.
func (x *exchange) redirected(e *Error, resp *http.Response) {
	target := RedirectTarget(resp)
	if target == "" {
		e.Message = "the server redirects, and does not say where to"
		return
	}
	target = x.line(target, maxMessage/2)
	e.Message = "the server redirects to " + target + "; no redirect is followed, as the token would go there too"
	if base, ok := strings.CutSuffix(target, x.call.path); ok {
		e.hint = "If " + base + " is Coze's API, set --coze-base or COZE_API_BASE to it."
	}
}
