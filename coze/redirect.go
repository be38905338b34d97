package coze

import (
	"net/http"
	"net/url"
	"strings"
)

// NoRedirects is a copy of a client that follows no redirect: the reply that redirects is the reply. net/http's own rule
// for what a redirect may carry goes by the host's name alone, so a token would follow one from https to http, to another
// port and to a subdomain, and on 307 and 308 the question would follow it to any host.
func NoRedirects(client *http.Client) *http.Client {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// RedirectTarget is where a reply redirects to, "" if it does not say. User, query and fragment are left out: they may
// hold a secret.
func RedirectTarget(resp *http.Response) string {
	target, err := resp.Location()
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}).String()
}

// redirected says where a reply redirects to, and which base URL would lead there without.
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
