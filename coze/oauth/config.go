package oauth

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// The life of a token.
const (
	DefaultLife = 15 * time.Minute
	MaxLife     = 86399 * time.Second // Coze's limit: below a day
)

// Config names an app. ClientID, PublicKeyID and Key are required.
type Config struct {
	ClientID    string          // the app's id at Coze
	PublicKeyID string          // the fingerprint that Coze shows for the public key
	Key         *rsa.PrivateKey // see LoadKey

	BaseURL     string        // "" = coze.DefaultBaseURL; the app's region
	Audience    string        // "" = the host of BaseURL; set api.coze.cn or api.coze.com if BaseURL is a proxy's
	SessionName string        // "" = none; separates conversations, for example by end user
	Life        time.Duration // of a token, in whole seconds; 0 = DefaultLife, at most MaxLife
	HTTP        *http.Client  // nil = a client of its own
}

// complete checks a configuration and sets its defaults. endpoint is the URL of the token call.
func (c *Config) complete() (endpoint string, err error) {
	switch {
	case strings.TrimSpace(c.ClientID) == "":
		return "", errors.New("oauth: the client id is empty: it is the id of the OAuth app at Coze")
	case strings.TrimSpace(c.PublicKeyID) == "":
		return "", errors.New("oauth: the public key's id is empty: it is the fingerprint that Coze shows for the app's public key")
	case c.Key == nil:
		return "", errors.New("oauth: there is no private key")
	case c.Life < 0 || c.Life > MaxLife || c.Life%time.Second != 0:
		return "", fmt.Errorf("oauth: a life of %v, want whole seconds up to %v", c.Life, MaxLife)
	}
	if c.Life == 0 {
		c.Life = DefaultLife
	}
	if c.BaseURL == "" {
		c.BaseURL = coze.DefaultBaseURL
	}
	base, err := url.Parse(strings.TrimRight(c.BaseURL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" ||
		base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return "", fmt.Errorf("oauth: the base URL is none, want one such as %s", coze.DefaultBaseURL) // it may contain a password
	}
	if c.Audience == "" {
		c.Audience = base.Hostname()
	}
	if c.HTTP == nil {
		transport := coze.NewTransport(1)
		transport.DisableKeepAlives = true // the next request is minutes away
		c.HTTP = coze.NoRedirects(&http.Client{Transport: transport})
	} else {
		c.HTTP = coze.NoRedirects(c.HTTP) // the assertion is as good as a token
	}
	return base.String() + "/api/permission/oauth2/token", nil
}
