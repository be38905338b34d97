package settings

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
	"github.com/cozeq/cozeq/internal/exitcode"
)

// Token returns the source of the token, and an error if there is none. It tries the settings in the order of the help.
func (c Config) Token(ctx context.Context, base string) (coze.TokenSource, error) {
	if token, _ := c.Env(EnvToken); token != "" {
		return coze.StaticToken(token), nil
	}
	if path, _ := c.Env(EnvTokenFile); path != "" {
		source, err := tokenFile(ctx, path)
		if err != nil {
			return nil, c.Errorf(EnvTokenFile, "%w", err)
		}
		return source, nil
	}
	app := oauth.Config{BaseURL: base}
	app.ClientID, _ = c.Env(EnvJWTClient)
	app.PublicKeyID, _ = c.Env(EnvJWTKeyID)
	keyFile, _ := c.Env(EnvJWTKeyFile)
	if app.ClientID == "" && app.PublicKeyID == "" && keyFile == "" {
		return nil, missingToken(base)
	}
	for env, value := range map[string]string{EnvJWTClient: app.ClientID, EnvJWTKeyID: app.PublicKeyID, EnvJWTKeyFile: keyFile} {
		if value == "" {
			return nil, c.Errorf(env, "not set, and an OAuth app needs it beside the other two")
		}
	}
	source, err := appSource(app, keyFile)
	if key, ok := errors.AsType[*keyError](err); ok {
		return nil, c.Errorf(EnvJWTKeyFile, "%w", key.err)
	}
	if err != nil {
		return nil, c.Errorf(EnvJWTClient, "%w", err)
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

func missingToken(base string) *exitcode.MissingError {
	return &exitcode.MissingError{
		What: "access token",
		How: "make one at " + tokenPage(base) + " and set " + EnvToken + ", or " + EnvTokenFile + " to a file that holds it, or " +
			EnvJWTClient + ", " + EnvJWTKeyFile + " and " + EnvJWTKeyID + " of an OAuth app",
		Hint: exitcode.HintNoToken,
	}
}

func MissingBot() *exitcode.MissingError {
	return &exitcode.MissingError{
		What: "bot",
		How:  "publish one to the API channel at Coze, and give the digits that follow /bot/ in its page's address as --bot or COZE_BOT_ID",
		Hint: exitcode.HintNoToken,
	}
}

func AddMissingBot(err error, bot *exitcode.MissingError) error {
	if token, ok := errors.AsType[*exitcode.MissingError](err); ok {
		token.Also = bot
		return err
	}
	return cmp.Or(err, error(bot))
}

// tokenFile is the source of a file that can be read. If the setting holds a token instead of a file's name, the error does
// not repeat it.
func tokenFile(ctx context.Context, path string) (coze.TokenSource, error) {
	if IsToken(path) {
		return nil, errors.New("it is a token, want the name of a file that holds it")
	}
	file := coze.NewTokenFile(path)
	_, err := file.Token(ctx)
	return file, err
}

// IsToken reports whether a text begins like a token of Coze.
func IsToken(s string) bool {
	return slices.ContainsFunc([]string{"pat_", "sat_", "czs_"}, func(prefix string) bool { return strings.HasPrefix(s, prefix) })
}

// keyError is a private key that cannot be read.
type keyError struct{ err error }

func (e *keyError) Error() string { return e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

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
