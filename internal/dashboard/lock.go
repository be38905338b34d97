package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/cozeq/cozeq/internal/loopback"
)

// locked lets a request through if it may read and, for a change, write.
//
// With a token the token decides: a browser sends no credentials for our address to a page that reaches us by another
// name. Without a token only loopback names are accepted: see package loopback.
//
// A browser sends its credentials with every request to us, from whichever page. A change must come from our own page.
func (h *handler) locked(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Cache-Control", "no-store") // keep questions and answers off the browser's disk
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if !h.admits(w, r) {
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			http.Error(w, "the request comes from a page of another site", http.StatusForbidden)
			return
		}
		if !h.Write && r.Method != http.MethodGet && r.Method != http.MethodHead {
			head.Set("Allow", "GET, HEAD")
			http.Error(w, "the dashboard is read-only: start it with --monitor-write to change things", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admits checks the token, or without one the loopback name.
func (h *handler) admits(w http.ResponseWriter, r *http.Request) bool {
	if h.Token == nil {
		if loopback.Name(r.Host) {
			return true
		}
		http.Error(w, "without a token the dashboard answers to localhost only, not to "+quoted(r.Host)+
			": open it as http://localhost:PORT"+Root+", or set COZEQ_MONITOR_TOKEN_FILE", http.StatusForbidden)
		return false
	}
	want, err := h.Token(r.Context())
	if err != nil {
		h.Log.Error("nobody can log in to the dashboard", "err", err)
		http.Error(w, "the dashboard's token cannot be read: see the log", http.StatusServiceUnavailable)
		return false
	}
	got, given := credentials(r)
	if given && same(got, want) {
		return true
	}
	if given {
		h.Log.Warn("wrong token for the dashboard", "from", r.RemoteAddr)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="cozeq dashboard: any name, and the token as password", charset="UTF-8"`)
	http.Error(w, "log in with any name, and the token as password", http.StatusUnauthorized)
	return false
}

// credentials is the request's token: a basic-auth password, for browsers, or a bearer token.
func credentials(r *http.Request) (token string, given bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// same compares in constant time, also for another length.
func same(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// quoted bounds a caller's text for a message.
func quoted(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return `"` + s + `"`
}
