package oauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
)

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string, header ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func clientOf(rt http.RoundTripper) *http.Client { return &http.Client{Transport: rt} }

// TestRequest is what Coze's documentation asks for.
func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]bool{}
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method != "POST" || r.URL.String() != "https://api.coze.com/api/permission/oauth2/token" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
			}
			var body map[string]any
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			if len(body) != 2 || body["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer" || body["duration_seconds"] != 900.0 {
				t.Errorf("body %v", body)
			}
			assertion := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			claims := jwt.MapClaims{}
			parsed, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(time.Now), jwt.WithIssuedAt(), jwt.WithExpirationRequired()).
				ParseWithClaims(assertion, claims, func(*jwt.Token) (any, error) { return &theKey().PublicKey, nil })
			if err != nil {
				t.Fatal(err)
			}
			jti, _ := claims["jti"].(string)
			if parsed.Header["kid"] != "fingerprint_1" || claims["iss"] != "app_1" || claims["aud"] != "api.coze.com" ||
				claims["session_name"] != "alice" || len(jti) < 32 || seen[jti] || len(claims) != 6 {
				t.Errorf("header %v, claims %v", parsed.Header, claims)
			}
			seen[jti] = true
			return reply(200, fmt.Sprintf(`{"access_token":"t%d","expires_in":%d,"token_type":"Bearer"}`, len(seen), time.Now().Unix()+900))(r)
		})
		s := sourceOf(t, oauth.Config{BaseURL: coze.BaseURLCom + "/", SessionName: "alice", HTTP: clientOf(rt)})
		if got := token(t, s); got != "t1" {
			t.Errorf("token %q", got)
		}
		time.Sleep(time.Hour)
		if got := token(t, s); got != "t2" {
			t.Errorf("token %q", got)
		}
	})
}

func TestAudience(t *testing.T) {
	for want, c := range map[string]oauth.Config{
		"api.coze.cn":   {},
		"coze.internal": {BaseURL: "http://coze.internal:8080/proxy"},
		"api.coze.com":  {BaseURL: "http://coze.internal:8080", Audience: "api.coze.com"},
	} {
		var got string
		c.HTTP = clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
			claims := jwt.MapClaims{}
			if _, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), claims); err != nil {
				t.Error(err)
			}
			got, _ = claims["aud"].(string)
			if _, session := claims["session_name"]; session {
				t.Error("a session name that nobody gave")
			}
			return reply(200, `{"access_token":"t","expires_in":900}`)(r)
		}))
		token(t, sourceOf(t, c))
		if got != want {
			t.Errorf("aud %q, want %q", got, want)
		}
	}
}

// TestLife is expires_in in its forms, and clocks that differ.
func TestLife(t *testing.T) {
	const life = 1000 * time.Second
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		expires func() string
		date    func() string // "" = none
		renewed time.Duration // when the next token is got
	}{
		"as documented":               {func() string { return unix(life) }, func() string { return at(0) }, 800 * time.Second},
		"without a date":              {func() string { return unix(life) }, nil, 800 * time.Second},
		"as a string":                 {func() string { return `"` + unix(life) + `"` }, nil, 800 * time.Second},
		"a duration":                  {func() string { return "500" }, nil, 400 * time.Second},
		"shorter than asked":          {func() string { return unix(100 * time.Second) }, nil, 80 * time.Second},
		"longer than asked":           {func() string { return unix(time.Hour) }, nil, 800 * time.Second},
		"our clock an hour ahead":     {func() string { return unix(life - time.Hour) }, func() string { return at(-time.Hour) }, 800 * time.Second},
		"our clock an hour behind":    {func() string { return unix(life + time.Hour) }, func() string { return at(time.Hour) }, 800 * time.Second},
		"ahead, without a date":       {func() string { return unix(life - time.Hour) }, nil, 800 * time.Second},
		"behind, without a date":      {func() string { return unix(life + time.Hour) }, nil, 800 * time.Second},
		"none":                        {func() string { return "null" }, nil, 800 * time.Second},
		"ahead, and a life cut short": {func() string { return unix(500*time.Second - time.Hour) }, func() string { return at(-time.Hour) }, 400 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				s := sourceOf(t, oauth.Config{Life: life, HTTP: clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
					calls++
					header := []string{}
					if tt.date != nil {
						header = []string{"Date", tt.date()}
					}
					return reply(200, fmt.Sprintf(`{"access_token":"t%d","expires_in":%s}`, calls, tt.expires()), header...)(r)
				}))})
				token(t, s)
				time.Sleep(tt.renewed - time.Second)
				token(t, s)
				synctest.Wait()
				if calls != 1 {
					t.Errorf("renewed before %v", tt.renewed)
				}
				time.Sleep(time.Second)
				token(t, s)
				synctest.Wait()
				if calls != 2 {
					t.Errorf("not renewed at %v", tt.renewed)
				}
			})
		})
	}
}

func unix(ahead time.Duration) string { return fmt.Sprint(time.Now().Add(ahead).Unix()) }

func TestFailures(t *testing.T) {
	echo := roundTrip(func(r *http.Request) (*http.Response, error) {
		return reply(403, strings.Repeat("x", 300)+" "+r.Header.Get("Authorization"))(r)
	})
	late := func(d time.Duration) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			return reply(401, `{"error_code":"invalid_request","error_message":"iat"}`, "Date", time.Now().Add(d).UTC().Format(http.TimeFormat))(r)
		}
	}
	for name, tt := range map[string]struct {
		rt    roundTrip
		class coze.Class
		text  string
		hint  string
	}{
		"invalid_client":       {reply(401, `{"error_code":"invalid_client","error_message":"no such app","error":"x"}`), coze.ClassAuth, "invalid_client: no such app", "public key's id"},
		"as others write it":   {reply(400, `{"error":"invalid_grant","error_description":"bad"}`), coze.ClassAuth, "invalid_grant: bad", "client id"},
		"a code alone":         {reply(400, `{"error_code":"access_denied"}`), coze.ClassAuth, "access_denied", "client id"},
		"in a 200":             {reply(200, `{"error_code":"invalid_client"}`), coze.ClassAuth, "invalid_client", "client id"},
		"internal_error":       {reply(500, `{"error_code":"internal_error","error_message":"try again"}`), coze.ClassTransient, "internal_error", ""},
		"internal_error, 400":  {reply(400, `{"error_code":"internal_error"}`), coze.ClassTransient, "internal_error", ""},
		"gateway":              {reply(502, "<html>bad gateway</html>"), coze.ClassTransient, "<html>bad gateway", ""},
		"429":                  {reply(429, ``, "Retry-After", "7"), coze.ClassRate, "empty", ""},
		"slow_down":            {reply(400, `{"error_code":"slow_down"}`), coze.ClassRate, "slow_down", ""},
		"408":                  {reply(408, `later`), coze.ClassTransient, "later", ""},
		"an envelope: path":    {reply(404, `{"code":4000,"msg":"Invalid URL","detail":{"logid":"L1"}}`), coze.ClassEndpoint, "Invalid URL logid=L1", "--coze-base"},
		"an envelope: trouble": {reply(200, `{"code":5000,"msg":"internal"}`, "X-Tt-Logid", "L2"), coze.ClassTransient, "internal logid=L2", ""},
		"an envelope: token":   {reply(401, `{"code":700012006,"msg":"invalid"}`), coze.ClassAuth, "coze 700012006 (auth)", "client id"},
		"redirect":             {reply(307, ``, "Location", "http://u:czs_secret@elsewhere/token?key=czs_secret"), coze.ClassEndpoint, "redirects to http://elsewhere/token; no redirect", "--coze-base"},
		"captive page":         {reply(200, `<html>log in</html>`), coze.ClassEndpoint, "no token where one should be", "--coze-base"},
		"a token elsewhere":    {reply(200, `{"code":0,"data":{"access_token":"czs_secret"}}`), coze.ClassTransient, "no token where", ""},
		"a token that failed":  {reply(403, `{"access_token":"czs_secret"}`), coze.ClassAuth, "no token where", ""},
		"not an object":        {reply(200, `[1]`), coze.ClassTransient, "no token where", ""},
		"echo":                 {echo, coze.ClassAuth, "Bearer [redacted]", ""},
		"the clock is ahead":   {late(-5 * time.Minute), coze.ClassAuth, "invalid_request", "5 min ahead of Coze's"},
		"the clock is behind":  {late(time.Hour), coze.ClassAuth, "invalid_request", "60 min behind Coze's"},
		"the clock is right":   {late(0), coze.ClassAuth, "invalid_request", "client id"},
		"no way": {func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
			coze.ClassTransient, "connection refused", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := sourceOf(t, oauth.Config{HTTP: clientOf(tt.rt)}).Token(t.Context())
				if got != "" {
					t.Errorf("token %q", got)
				}
				e := failed(t, err)
				if e.Class != tt.class || e.Op != "oauth2/token" || !strings.Contains(e.Error(), tt.text) || !strings.Contains(e.Hint(), tt.hint) || len(e.Message) > 500 {
					t.Errorf("%v (%s), hint %q", e, e.Class, e.Hint())
				}
				if strings.Contains(e.Error(), "czs_secret") || strings.Contains(e.Error(), "eyJ") {
					t.Errorf("a secret in %v", e)
				}
				if (name == "429") != (e.RetryAfter == 7*time.Second) {
					t.Errorf("retry after %v", e.RetryAfter)
				}
			})
		})
	}
}

// A server that never answers is given up after half a minute.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf(t, oauth.Config{HTTP: clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))})
		began := time.Now()
		_, err := s.Token(t.Context())
		if e := failed(t, err); e.Class != coze.ClassTransient || !errors.Is(e, context.DeadlineExceeded) || time.Since(began) != 30*time.Second {
			t.Errorf("%v (%s) after %v", e, e.Class, time.Since(began))
		}
	})
}
