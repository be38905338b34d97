package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
)

// defaultCredential is for questions that name none, where no token is set.
const defaultCredential = "default"

var credentialName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// checkCredential says what is wrong with a name.
func checkCredential(name string) error {
	if !credentialName.MatchString(name) {
		return fmt.Errorf("%.80q is no name of a credential, want letters, digits, '.', '_' and '-', at most 64", name)
	}
	return nil
}

// credentials reads COZEQ_CREDENTIALS_FILE, in its order. What an entry does not
// say is as in inherited.
func (c config) credentials(ctx context.Context, inherited credential) ([]credential, error) {
	path, _ := c.env(envCredentials)
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, c.bad(envCredentials, "%w", err)
	}
	r := credentialsReader{dir: filepath.Dir(path), inherited: inherited}
	found, err := r.read(ctx, text)
	if err != nil {
		return nil, c.bad(envCredentials, "%s: %w", path, err)
	}
	return found, nil
}

// credentialsReader reads
//
//	{"NAME": {"token_file": "FILE", "base": "URL"},
//	 "NAME": {"jwt": {"client_id": "ID", "private_key_file": "FILE", "public_key_id": "ID"}}}
//
// The names of files are relative to the file that names them.
type credentialsReader struct {
	dir       string
	inherited credential
}

func (r credentialsReader) read(ctx context.Context, text []byte) ([]credential, error) {
	var found []credential
	err := members(text, func(name string, raw json.RawMessage) error {
		err := checkCredential(name)
		if err != nil {
			return err
		}
		entry := r.inherited
		entry.name = name
		if entry.base, entry.token, err = r.entry(ctx, raw); err != nil {
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

func (r credentialsReader) entry(ctx context.Context, raw json.RawMessage) (base string, token coze.TokenSource, err error) {
	var file string
	var app *oauth.Config
	var keyFile string
	base = r.inherited.base
	err = members(raw, func(field string, raw json.RawMessage) error {
		switch field {
		case "token_file":
			return text(field, raw, &file)
		case "base":
			if err := text(field, raw, &base); err != nil {
				return err
			}
			return checkBase(field, base)
		case "jwt":
			app = new(oauth.Config)
			return members(raw, func(field string, raw json.RawMessage) error {
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
		return fmt.Errorf("%.40s: unknown, want token_file or jwt, and base", field)
	})
	switch {
	case err != nil:
		return "", nil, err
	case (file == "") == (app == nil):
		return "", nil, errors.New("want either token_file or jwt")
	case file != "":
		if token, err = tokenFile(ctx, r.path(file)); err != nil {
			err = fmt.Errorf("token_file: %w", err)
		}
		return base, token, err
	case app.ClientID == "":
		return "", nil, errors.New("jwt.client_id is missing")
	case keyFile == "":
		return "", nil, errors.New("jwt.private_key_file is missing")
	case app.PublicKeyID == "":
		return "", nil, errors.New("jwt.public_key_id is missing")
	}
	app.BaseURL = base
	token, err = appSource(*app, r.path(keyFile))
	if _, ok := errors.AsType[*keyError](err); ok {
		err = fmt.Errorf("jwt.private_key_file: %w", err)
	}
	return base, token, err
}

// path is relative to the credentials file; what looks like a token is left for
// tokenFile to find.
func (r credentialsReader) path(name string) string {
	if filepath.IsAbs(name) || isToken(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

func text(field string, raw json.RawMessage, into *string) error {
	if json.Unmarshal(raw, into) != nil || strings.TrimSpace(*into) == "" {
		return fmt.Errorf("%s: want a text that is not empty", field)
	}
	return nil
}

// members calls f for each member of a JSON object, in order. A name that comes
// twice is an error, where encoding/json would take the last.
func members(object []byte, f func(name string, raw json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return errors.New("want a JSON object")
	}
	var seen []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		name, _ := key.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		if slices.Contains(seen, name) {
			return fmt.Errorf("%q comes twice", name)
		}
		seen = append(seen, name)
		if err := f(name, raw); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON object")
	}
	return nil
}
