package monitor

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// locked lets a request through if it may look, and change things where it wants to.
//
// With a token the token decides: a page of another site that calls us by a name of
// its own gets no credentials from the browser to show. Without one only this machine
// can reach us, but so can a page of any site that its people look at: the site points
// its own name to 127.0.0.1 once the page is loaded (DNS rebinding). Such a request
// names the site as its host, so only loopback names are good.
//
// A browser sends the credentials that it has with every request to us, whichever
// page has made it. What changes something must come from a page of our own.
func (h *handler) locked(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Cache-Control", "no-store") // questions and answers do not belong on the disk of a browser
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

// admits asks for the token, or for a loopback name where there is none.
func (h *handler) admits(w http.ResponseWriter, r *http.Request) bool {
	if h.Token == nil {
		if loopbackName(r.Host) {
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

// credentials is the token that came with a request: as a password, for browsers, or
// as a bearer token.
func credentials(r *http.Request) (token string, given bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// same takes the same time however much of the token is right, and whatever its
// length is.
func same(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// loopbackName reports whether a Host header names this machine as nobody else can.
func loopbackName(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// quoted bounds what a stranger has sent.
func quoted(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return `"` + s + `"`
}
