package cozetest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

const (
	tokenPath = "/api/permission/oauth2/token"
	wanted    = `{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","duration_seconds":600}`
)

var appKey = sync.OnceValue(func() *rsa.PrivateKey { return newKey() })

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func withApp(c *cozetest.Config) { c.OAuthKey = &appKey().PublicKey }

// assertion is a JWT that is good but for the changes, nil to leave a claim out.
func assertion(key *rsa.PrivateKey, changes map[string]any) string {
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": "k1"}
	claims := map[string]any{
		"iss": "app", "aud": "api.coze.cn", "jti": rand.Text() + rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	for name, value := range changes {
		part := claims
		if name == "alg" || name == "kid" {
			part = header
		}
		if part[name] = value; value == nil {
			delete(part, name)
		}
	}
	signed := encoded(header) + "." + encoded(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encoded(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// hand hands an assertion in.
func (c *caller) hand(assertion, body string) (status int, fields map[string]any) {
	c.t.Helper()
	own := *c
	own.token = assertion
	r := own.call("POST", tokenPath, body)
	if r.Err != nil {
		c.t.Fatal(r.Err)
	}
	if err := json.Unmarshal([]byte(r.Body), &fields); err != nil {
		c.t.Fatalf("%q: %v", r.Body, err)
	}
	return r.Status, fields
}

func TestTokenOfAnApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, withApp)
		c := callerOf(t, srv)
		if r := c.call("POST", "/v1/conversation/create", "{}"); r.Status != 401 {
			t.Errorf("a token from elsewhere: %d", r.Status)
		}
		status, fields := c.hand(assertion(appKey(), nil), wanted)
		token, _ := fields["access_token"].(string)
		if status != 200 || token == "" || fields["token_type"] != "Bearer" || fields["expires_in"] != float64(time.Now().Unix()+600) {
			t.Fatalf("%d %v", status, fields)
		}
		if _, other := c.hand(assertion(appKey(), nil), wanted); other["access_token"] == token {
			t.Error("the same token twice")
		}
		c.token = token
		c.conversation()
		time.Sleep(10*time.Minute - time.Second)
		id := c.conversation()
		time.Sleep(time.Second)
		if r := c.call("POST", "/v1/conversation/create", "{}"); r.Status != 401 || !strings.Contains(r.Body, "700012006") {
			t.Errorf("its life is over: %d %s", r.Status, r.Body)
		}
		if code, _ := c.ask(id, "q", true).envelope(t); code != 4101 {
			t.Errorf("its life is over: code %d", code)
		}
		if srv.Calls(tokenPath) != 2 {
			t.Errorf("%d calls", srv.Calls(tokenPath))
		}
	})
}

func TestAssertions(t *testing.T) {
	srv := cozetest.New(t, withApp)
	c := callerOf(t, srv)
	good := assertion(appKey(), nil)
	if status, fields := c.hand(good, wanted); status != 200 {
		t.Fatalf("%d %v", status, fields)
	}
	for name, tt := range map[string]struct{ assertion, code, text string }{
		"twice":       {good, "invalid_client", "used before"},
		"other key":   {assertion(newKey(), nil), "invalid_client", "signature"},
		"no JWT":      {"pat_x", "invalid_client", "no JWT"},
		"not base64":  {"?.?.?", "invalid_client", "read"},
		"HS256":       {assertion(appKey(), map[string]any{"alg": "HS256"}), "invalid_client", "RS256"},
		"no kid":      {assertion(appKey(), map[string]any{"kid": nil}), "invalid_client", "kid"},
		"no iss":      {assertion(appKey(), map[string]any{"iss": nil}), "invalid_client", "iss"},
		"no aud":      {assertion(appKey(), map[string]any{"aud": ""}), "invalid_client", "aud"},
		"short jti":   {assertion(appKey(), map[string]any{"jti": "x"}), "invalid_client", "jti"},
		"no iat":      {assertion(appKey(), map[string]any{"iat": nil}), "invalid_client", "iat"},
		"iat to come": {assertion(appKey(), map[string]any{"iat": time.Now().Unix() + 30}), "invalid_client", "iat"},
		"exp over":    {assertion(appKey(), map[string]any{"exp": time.Now().Unix() - 1}), "invalid_client", "exp"},
	} {
		status, fields := c.hand(tt.assertion, wanted)
		if text, _ := fields["error_message"].(string); status != 401 || fields["error_code"] != tt.code || !strings.Contains(text, tt.text) {
			t.Errorf("%s: %d %v", name, status, fields)
		}
	}
	for body, code := range map[string]string{
		`{}`: "unsupported_grant_type",
		`{`:  "invalid_request",
		strings.Replace(wanted, "600", "86400", 1): "invalid_request",
		strings.Replace(wanted, "600", "-1", 1):    "invalid_request",
	} {
		if status, fields := c.hand(assertion(appKey(), nil), body); status != 400 || fields["error_code"] != code {
			t.Errorf("%s: %d %v", body, status, fields)
		}
	}
	if status, fields := callerOf(t, cozetest.New(t)).hand(good, wanted); status != 401 || fields["error_code"] != "invalid_client" {
		t.Errorf("without an app: %d %v", status, fields)
	}
}

func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, withApp, func(c *cozetest.Config) {
			c.Tokens, c.OAuthLife = []string{"pat_test"}, time.Minute
		})
		c := callerOf(t, srv)
		c.conversation() // a personal token is good beside the app's
		works := func() map[string]bool {
			works := map[string]bool{}
			for name, token := range map[string]string{"pat": "pat_test", "app": c.token} {
				own := *c
				own.token = token
				works[name] = own.call("POST", "/v1/conversation/create", "{}").Status == 200
			}
			return works
		}
		next := func() {
			_, fields := c.hand(assertion(appKey(), nil), wanted)
			c.token, _ = fields["access_token"].(string)
			if fields["expires_in"] != float64(time.Now().Unix()+60) {
				t.Errorf("%v, want a life of a minute", fields)
			}
		}
		next()
		if got := works(); !maps.Equal(got, map[string]bool{"pat": true, "app": true}) {
			t.Errorf("%v", got)
		}
		srv.ExpireTokens()
		if got := works(); !maps.Equal(got, map[string]bool{"pat": true, "app": false}) {
			t.Errorf("after ExpireTokens: %v", got)
		}
		next()
		if got := works(); !got["app"] {
			t.Errorf("the next one: %v", got)
		}
	})
}

func TestFaultsOfTokens(t *testing.T) {
	srv := cozetest.New(t, withApp, cozetest.WithRules(cozetest.Rule{On: "token", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Gateway, Status: 503}}))
	c := callerOf(t, srv)
	if r := c.call("POST", tokenPath, wanted); r.Status != 503 {
		t.Errorf("status %d, want 503", r.Status)
	}
	if status, _ := c.hand(assertion(appKey(), nil), wanted); status != 200 {
		t.Errorf("after it %d", status)
	}
	if got := srv.Requests(); len(got) != 2 || got[0].Fault != cozetest.Gateway || got[1].Status != 200 {
		t.Errorf("%+v", got)
	}
}
