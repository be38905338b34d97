package doctor

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// credentials reads the credentials and checks what can be checked without Coze. coze asks Coze about them.
func (d *doctor) credentials(ctx context.Context) []finding {
	const name, see = "credential", "see 'cozeq help environment'"
	a := &d.account
	a.Agent = d.cfg.Agent()
	var err error
	if a.Base, err = d.cfg.Base(); err != nil {
		return nil // it is said of the setting, and who knows for which region a token is
	}
	if a.Codes, err = d.cfg.Codes(); err != nil {
		a.Codes = coze.DefaultCodes()
	}
	var found []finding
	if a.Others, err = d.cfg.Credentials(ctx, a.Credential); err != nil {
		a.Others = nil // it is said of the setting
	}
	a.Life, _ = d.cfg.TokenLife() // what is wrong with it is said of the setting
	a.Token, err = d.cfg.Token(ctx, a.Base)
	own := slices.IndexFunc(a.Others, settings.Named(settings.DefaultCredential))
	missing, none := errors.AsType[*exitcode.MissingError](err)
	switch {
	case err == nil:
		d.asks = true
		found = append(found, d.credential(ctx, name, a.Credential, d.tokenFrom()))
	case none && own >= 0:
		d.asks, a.Credential = true, a.Others[own]
	case none && len(a.Others) > 0:
		found = append(found, warned(name, missing.How+"; or name one of the credentials "+settings.DefaultCredential,
			"none for questions that name no credential"))
	case none && d.remote != nil:
		found = append(found, warned(name, missing.How, "none: this machine can put questions into the queue, and not ask them itself"))
	case none:
		found = append(found, failed(name, missing.How, "none: Coze cannot be asked"))
	default:
		found = append(found, failed(name, see, "%v", err))
	}
	for i, c := range a.Others {
		f := d.credential(ctx, checkName(name, c.Name), c, c.File)
		if i == own && d.asks && a.Name == "" {
			f = warned(f.Name, "give it another name, or unset "+d.tokenFrom(), "%s, but not for questions that name no credential: %s goes before it", f.Detail, d.tokenFrom())
		}
		found = append(found, f)
	}
	return found
}

func (d *doctor) tokenFrom() string {
	for _, env := range []string{settings.EnvToken, settings.EnvTokenFile} {
		if value, _ := d.cfg.Env(env); strings.TrimSpace(value) != "" {
			return env
		}
	}
	return settings.EnvJWTKeyFile
}

// lifeWarning is the age of a personal token's file at which its end is near.
const lifeWarning = 25 * 24 * time.Hour

func (d *doctor) credential(ctx context.Context, name string, c settings.Credential, from string) finding {
	if _, ok := c.Token.(*oauth.Source); ok {
		return secretFile(name, c.File, "an OAuth app with its key in "+from+", for "+c.Base)
	}
	token, err := c.Token.Token(ctx)
	if err != nil {
		return failed(name, "put the token into the file again", "%s: %v", from, err)
	}
	shown := tokenKind(token) + " in " + from + ", for " + c.Base
	switch {
	case strings.ContainsAny(token, " \t\r\n\"'"):
		return failed(name, "put the token alone there, without quotes, spaces and \"Bearer\"", "in %s is more than a token", from)
	case strings.HasPrefix(token, "czs_"), strings.HasPrefix(token, "cztei_"):
		return warned(name, "use a service token, or an OAuth app of type JWT: "+settings.EnvJWTClient, "%s: it ends within the hour", shown)
	}
	const replace = "make a new one at Coze and put it in place of this one: workers read it within seconds"
	if end := c.Life.Set; !end.IsZero() {
		shown += ", until " + end.UTC().Format(time.RFC3339)
		switch left := time.Until(end); {
		case left <= 0:
			return failed(name, replace+"; and set the new end", "%s: so it has ended", shown)
		case left < settings.PersonalLife-lifeWarning:
			return warned(name, replace+"; and set the new end", "%s: it ends in %s", shown, terminal.Rounded(left.Round(time.Hour)))
		}
		return secretFile(name, c.File, shown)
	}
	if info, err := os.Stat(c.Life.File); err == nil && strings.HasPrefix(token, "pat_") && time.Since(info.ModTime()) > lifeWarning {
		return warned(name, replace,
			"%s: written %d days ago, and a personal token lives %d days at most", shown,
			int(time.Since(info.ModTime()).Hours()/24), int(settings.PersonalLife.Hours()/24))
	}
	return secretFile(name, c.File, shown) // of what a variable names it is said there
}

func tokenKind(token string) string {
	for _, k := range []struct{ prefix, kind string }{
		{"pat_", "a personal token"}, {"sat_", "a service token"}, {"czs_", "an OAuth token"}, {"cztei_", "a token of Coze's playground"},
	} {
		if strings.HasPrefix(token, k.prefix) {
			return k.kind
		}
	}
	return "a token of a kind that Coze is not known to give"
}

// secretFile checks a file that only its owner should read. An empty path is no file.
func secretFile(name, path, shown string) finding {
	info, err := os.Stat(path)
	if path == "" || err != nil || runtime.GOOS == "windows" { // where permissions are no bits
		return well(name, "%s", shown)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return warned(name, "chmod 600 "+path, "%s: others on this machine may read it (%v)", shown, mode)
	}
	return well(name, "%s", shown)
}
