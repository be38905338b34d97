package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
	"github.com/cozeq/cozeq/internal/jsonobject"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/textfile"
)

// DefaultCredential is for questions that name no credential, if no token is set.
const DefaultCredential = "default"

var credentialName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkCredentialName(name string) error {
	if !credentialName.MatchString(name) {
		return fmt.Errorf("%.80q is no name of a credential, want letters, digits, '.', '_' and '-', at most 64", name)
	}
	return nil
}

// Credentials reads COZEQ_CREDENTIALS_FILE, in its order. What an entry does not say it takes from inherited.
func (c Config) Credentials(ctx context.Context, inherited Credential) ([]Credential, error) {
	path, _ := c.Env(EnvCredentials)
	if path == "" {
		return nil, nil
	}
	text, err := textfile.Read(path)
	if err != nil {
		return nil, c.Errorf(EnvCredentials, "%w", err)
	}
	r := credentialsReader{dir: filepath.Dir(path), inherited: inherited}
	found, err := r.read(ctx, text)
	if err != nil {
		return nil, c.Errorf(EnvCredentials, "%s: %w", path, err)
	}
	return found, nil
}

func (c Config) ownCredentials(ctx context.Context) ([]Credential, error) {
	return c.Credentials(ctx, Credential{Base: coze.DefaultBaseURL})
}

// credentialsReader reads
//
//	{"NAME": {"token_file": "FILE", "base": "URL", "expires": "2026-12-31"},
//	 "NAME": {"jwt": {"client_id": "ID", "private_key_file": "FILE", "public_key_id": "ID"}}}
//
// The names of files are relative to the file that names them.
type credentialsReader struct {
	dir       string
	inherited Credential
}

func (r credentialsReader) read(ctx context.Context, text []byte) ([]Credential, error) {
	var found []Credential
	err := jsonobject.Members(text, func(name string, raw json.RawMessage) error {
		err := checkCredentialName(name)
		if err != nil {
			return err
		}
		entry := r.inherited
		entry.Name = name
		if entry, err = r.entry(ctx, entry, raw); err != nil {
			return fmt.Errorf("credential %q: %w", name, err)
		}
		found = append(found, entry)
		return nil
	})
	if err == nil && len(found) == 0 {
		err = errors.New("there is no credential in it")
	}
	return found, err
}

func (r credentialsReader) entry(ctx context.Context, c Credential, raw json.RawMessage) (Credential, error) {
	var file string
	var app *oauth.Config
	var keyFile string
	err := jsonobject.Members(raw, func(field string, raw json.RawMessage) error {
		switch field {
		case "token_file":
			return text(field, raw, &file)
		case "base":
			if err := text(field, raw, &c.Base); err != nil {
				return err
			}
			return checkBase(field, c.Base)
		case "expires":
			var value string
			err := text(field, raw, &value)
			if err == nil {
				c.Life.Set, err = parseExpiry(value)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", field, err)
			}
			return nil
		case "jwt":
			app = new(oauth.Config)
			return jsonobject.Members(raw, func(field string, raw json.RawMessage) error {
				switch field {
				case "client_id":
					return text("jwt."+field, raw, &app.ClientID)
				case "private_key_file":
					return text("jwt."+field, raw, &keyFile)
				case "public_key_id":
					return text("jwt."+field, raw, &app.PublicKeyID)
				}
				return fmt.Errorf("jwt.%.40s: unknown, want client_id, private_key_file and public_key_id", field)
			})
		}
		return fmt.Errorf("%.40s: unknown, want token_file or jwt, base and expires", field)
	})
	switch {
	case err != nil:
		return c, err
	case (file == "") == (app == nil):
		return c, errors.New("want either token_file or jwt")
	case file != "":
		c.File = r.path(file)
		c.Life.File = c.File
		if c.Token, err = tokenFile(ctx, c.File); err != nil {
			err = fmt.Errorf("token_file: %w", err)
		}
		return c, err
	case app.ClientID == "":
		return c, errors.New("jwt.client_id is missing")
	case keyFile == "":
		return c, errors.New("jwt.private_key_file is missing")
	case app.PublicKeyID == "":
		return c, errors.New("jwt.public_key_id is missing")
	}
	c.File, app.BaseURL = r.path(keyFile), c.Base
	c.Token, err = appSource(*app, c.File)
	if _, ok := errors.AsType[*keyError](err); ok {
		err = fmt.Errorf("jwt.private_key_file: %w", err)
	}
	return c, err
}

// path is relative to the credentials file. A path that looks like a token is left for tokenFile to report.
func (r credentialsReader) path(name string) string {
	if filepath.IsAbs(name) || IsToken(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

func text(field string, raw json.RawMessage, into *string) error {
	err := json.Unmarshal(raw, into)
	if *into = terminal.Trim(*into); err != nil || *into == "" {
		return fmt.Errorf("%s: want a text that is not empty", field)
	}
	return nil
}
