package cozetest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// oauth is an app of type JWT. Its Fake locks it. What it checks is what Coze's
// documentation asks of an assertion; the words of its errors are ours.
type oauth struct {
	key     *rsa.PublicKey
	life    time.Duration
	granted map[string]time.Time // when a token ends
	used    map[string]bool      // jti: an assertion is good for one token
}

// The life of a token in seconds, unless a request says otherwise.
const (
	tokenLife    = 900
	tokenLifeMax = 86399
)

const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// ExpireTokens ends the life of all tokens that were given for Config.OAuthKey.
func (f *Fake) ExpireTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for token := range f.oauth.granted {
		f.oauth.granted[token] = now
	}
}

func (x *exchange) grantToken() {
	if !x.met("") {
		return
	}
	var body struct {
		GrantType string `json:"grant_type"`
		Duration  int64  `json:"duration_seconds"`
	}
	if r := x.decode(&body); r != nil {
		x.refuseToken("invalid_request", r.msg)
		return
	}
	if body.Duration == 0 {
		body.Duration = tokenLife
	}
	switch {
	case body.GrantType != grantType:
		x.refuseToken("unsupported_grant_type", "the grant type is not "+grantType)
		return
	case body.Duration < 0 || body.Duration > tokenLifeMax:
		x.refuseToken("invalid_request", "duration_seconds is not from 1 to "+strconv.Itoa(tokenLifeMax))
		return
	}
	f, now := x.fake, time.Now()
	f.mu.Lock()
	err := f.oauth.accept(bearer(x.r), now)
	var token string
	var until time.Time
	if err == nil {
		life := time.Duration(body.Duration) * time.Second
		if f.oauth.life > 0 {
			life = min(life, f.oauth.life)
		}
		until = now.Truncate(time.Second).Add(life) // expires_in has no fractions
		token = "czs_" + f.id()
		f.oauth.granted[token] = until
	}
	f.mu.Unlock()
	if err != nil {
		x.refuseToken("invalid_client", err.Error())
		return
	}
	x.log(http.StatusOK, 0)
	dst := appendString([]byte(`{"access_token":`), token)
	dst = strconv.AppendInt(append(dst, `,"expires_in":`...), until.Unix(), 10) // absolute, unlike the rest of the world's
	x.sendJSON(http.StatusOK, append(dst, `,"token_type":"Bearer"}`...))
}

func (x *exchange) refuseToken(code, msg string) {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	x.log(status, 0)
	dst := appendString([]byte(`{"error_code":`), code)
	dst = appendString(append(dst, `,"error_message":`...), msg)
	x.sendJSON(status, append(dst, '}'))
}

// accept checks an assertion and strikes it off: it is good once.
func (o *oauth) accept(assertion string, now time.Time) error {
	if o.key == nil {
		return errors.New("there is no OAuth app: Config.OAuthKey is not set")
	}
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return errors.New("the bearer is no JWT")
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Aud, Jti string
		Iat, Exp      int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !decodePart(parts[0], &header) || !decodePart(parts[1], &claims) {
		return errors.New("the JWT cannot be read")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case header.Alg != "RS256":
		return errors.New("alg is not RS256")
	case rsa.VerifyPKCS1v15(o.key, crypto.SHA256, sum[:], signature) != nil:
		return errors.New("the signature is not of the app's key")
	case header.Kid == "" || claims.Iss == "" || claims.Aud == "":
		return errors.New("kid, iss and aud are required")
	case claims.Iat == 0 || claims.Iat > now.Unix():
		return errors.New("iat is missing, or not over yet")
	case claims.Exp <= now.Unix():
		return errors.New("exp is missing, or over")
	case len(claims.Jti) < 32:
		return errors.New("jti is shorter than 32 characters")
	case o.used[claims.Jti]:
		return errors.New("jti was used before")
	}
	o.used[claims.Jti] = true
	return nil
}

func decodePart(part string, v any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, v) == nil
}
