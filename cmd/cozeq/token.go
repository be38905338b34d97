package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
)

// token finds the secret, and sees that there is one. The forms come in the order
// in which the help names them.
func (c config) token(ctx context.Context, base string) (coze.TokenSource, error) {
	if token, _ := c.env(envToken); token != "" {
		return coze.StaticToken(token), nil
	}
	if path, _ := c.env(envTokenFile); path != "" {
		source, err := tokenFile(ctx, path)
		if err != nil {
			return nil, c.bad(envTokenFile, "%w", err)
		}
		return source, nil
	}
	app := oauth.Config{BaseURL: base}
	app.ClientID, _ = c.env(envJWTClient)
	app.PublicKeyID, _ = c.env(envJWTKeyID)
	keyFile, _ := c.env(envJWTKeyFile)
	if app.ClientID == "" && app.PublicKeyID == "" && keyFile == "" {
		return nil, missingToken(base)
	}
	for env, value := range map[string]string{envJWTClient: app.ClientID, envJWTKeyID: app.PublicKeyID, envJWTKeyFile: keyFile} {
		if value == "" {
			return nil, c.bad(env, "not set, and an OAuth app needs it beside the other two")
		}
	}
	source, err := appSource(app, keyFile)
	if key, ok := errors.AsType[*keyError](err); ok {
		return nil, c.bad(envJWTKeyFile, "%w", key.err)
	}
	if err != nil {
		return nil, c.bad(envJWTClient, "%w", err)
	}
	return source, nil
}

// tokenPage is where tokens are made, for the region of a base URL.
func tokenPage(base string) string {
	if strings.TrimRight(base, "/") == coze.BaseURLCom {
		return "https://www.coze.com/open/oauth/pats"
	}
	return "https://www.coze.cn/open/oauth/pats"
}

func missingToken(base string) *missingError {
	return &missingError{
		what: "access token",
		how: "make one at " + tokenPage(base) + " and set " + envToken + ", or " + envTokenFile + " to a file that holds it, or " +
			envJWTClient + ", " + envJWTKeyFile + " and " + envJWTKeyID + " of an OAuth app",
		hint: hintNoToken,
	}
}

func missingBot() *missingError {
	return &missingError{
		what: "bot",
		how:  "publish one to the API channel at Coze, and give the digits that follow /bot/ in its page's address as --bot or COZE_BOT_ID",
		hint: hintNoToken,
	}
}

const hintNoToken = "'cozeq run --demo' needs neither token nor bot, and 'cozeq mock' stands in for Coze"

// noBot adds that there is no bot to an error of the token's, if that is missing too: all at once.
func noBot(err error, bot *missingError) error {
	if token, ok := errors.AsType[*missingError](err); ok {
		token.also = bot
		return err
	}
	return cmp.Or(err, error(bot))
}

// tokenFile is the source of a file that can be read. A token in the place of its
// file's name is not repeated in the error.
func tokenFile(ctx context.Context, path string) (coze.TokenSource, error) {
	if isToken(path) {
		return nil, errors.New("it is a token, want the name of a file that holds it")
	}
	file := coze.NewTokenFile(path)
	_, err := file.Token(ctx)
	return file, err
}

// isToken tells what begins as Coze's tokens do.
func isToken(s string) bool {
	return slices.ContainsFunc([]string{"pat_", "sat_", "czs_"}, func(prefix string) bool { return strings.HasPrefix(s, prefix) })
}

// keyError is a private key that cannot be read.
type keyError struct{ err error }

func (e *keyError) Error() string { return e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// appSource is the source of an OAuth app whose key is in a file.
func appSource(app oauth.Config, keyFile string) (coze.TokenSource, error) {
	key, err := oauth.LoadKey(keyFile)
	if err != nil {
		return nil, &keyError{err}
	}
	app.Key = key
	source, err := oauth.New(app)
	if err != nil {
		return nil, fmt.Errorf("app %s: %w", app.ClientID, err)
	}
	return source, nil
}
