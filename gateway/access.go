package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/loopback"
)

// open are the pages that need no key. Load balancers ask for them, and the reference says nothing secret.
var open = []string{"/", "/healthz", "/readyz", "/docs", "/openapi.json"}

// authenticate finds the API key of a request and refuses one without, if keys are configured.
func (g *Gateway) authenticate(next http.Handler) http.Handler {
	if g.keys == nil {
		return next
	}
	refuse := func(w http.ResponseWriter, r *http.Request, why string) {
		g.refuse(w, r, fault(http.StatusUnauthorized, "%s", why))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(open, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			refuse(w, r, "this needs an API key: send the header Authorization: Bearer KEY")
			return
		}
		key, err := g.keys.Lookup(strings.TrimSpace(token))
		switch {
		case errors.Is(err, apikey.ErrExpired):
			refuse(w, r, "the API key has expired: ask the operator for another one")
			return
		case err != nil:
			refuse(w, r, "there is no such API key")
			return
		}
		callOf(r.Context()).key = key.Name
		next.ServeHTTP(w, r.WithContext(apikey.NewContext(r.Context(), key)))
	})
}

// cors lets pages of other origins call, and only those of Config.Origins. A browser sends some requests of other pages
// without asking first, and only keeps the answer from them: a question would be paid for all the same. So what changes
// something is refused here.
func (g *Gateway) cors(next http.Handler) (http.Handler, error) {
	strangers := http.NewCrossOriginProtection()
	for _, origin := range g.Origins {
		if origin == "*" {
			strangers.AddInsecureBypassPattern("/")
		} else if err := strangers.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("an origin is written as https://example.com: %w", err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		w.Header().Add("Vary", "Origin")
		switch {
		case g.Local && !loopback.Name(r.Host):
			g.refuse(w, r, fault(http.StatusForbidden, "without API keys this answers to localhost only, not to %.60q", r.Host))
			return
		case strangers.Check(r) != nil:
			g.refuse(w, r, fault(http.StatusForbidden, "the request comes from a web page of another origin, %.60q: the operator may allow it with --cors", origin))
			return
		case origin == "" || !slices.Contains(g.Origins, "*") && !slices.Contains(g.Origins, origin):
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Location, Server-Timing")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		h.Set("Access-Control-Max-Age", "600")
		callOf(r.Context()).route = "preflight"
		w.WriteHeader(http.StatusNoContent)
	}), nil
}
