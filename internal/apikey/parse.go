package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/jsonobject"
	"github.com/cozeq/cozeq/internal/usage"
)

// parse reads
//
//	{"NAME": {"sha256": "HEX", "bots": ["ID"], "queues": ["QUEUE"], "credential": "NAME",
//	          "rate": "10/s", "in_flight": 100, "expires": "2027-12-31"}}
//
// where sha256 alone is needed, and may be an array of several while a key is replaced. Errors name keys and fields, never
// a value of sha256, and no name that may be one.
func parse(text []byte) (map[digest]*Key, error) {
	found := make(map[digest]*Key)
	n := 0
	err := jsonobject.Members(text, func(name string, raw json.RawMessage) error {
		n++
		if !keyName.MatchString(name) {
			return fmt.Errorf("the name of key %d (from the top) is not 1 to 64 lower-case letters, digits, _ or -", n)
		}
		if _, err := hash(name); err == nil {
			return fmt.Errorf("key %d (from the top) has a hash for its name: want {\"NAME\": {\"sha256\": \"HEX\"}}", n)
		}
		key := &Key{Name: name}
		digests, err := key.read(raw)
		if err != nil {
			return fmt.Errorf("key %s: %w", name, err)
		}
		for _, d := range digests {
			if other := found[d]; other != nil {
				return fmt.Errorf("key %s: sha256: the same as that of key %s", name, other.Name)
			}
			found[d] = key
		}
		return nil
	})
	if err == nil && n == 0 {
		err = errors.New("there is no key in it")
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// keyName is that of a tenant: see tasks.ValidateTenant.
var keyName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

var fields = []string{"sha256", "bots", "queues", "credential", "rate", "in_flight", "expires", "operator"}

// read reads an entry, all but its name.
func (k *Key) read(raw json.RawMessage) (digests []digest, err error) {
	err = jsonobject.Members(raw, func(field string, raw json.RawMessage) (err error) {
		switch field {
		case "sha256":
			digests, err = hashes(raw)
		case "bots":
			k.Bots, err = texts(raw)
		case "queues":
			k.Queues, err = texts(raw)
		case "credential":
			k.Credential, err = text(raw)
		case "rate":
			var value string
			if value, err = text(raw); err == nil {
				k.Rate, err = parseRate(value)
			}
		case "in_flight":
			if err = json.Unmarshal(raw, &k.MaxInFlight); err != nil || k.MaxInFlight < 1 {
				err = errors.New("want a whole number above 0")
			}
		case "expires":
			var value string
			if value, err = text(raw); err == nil {
				k.Expires, err = parseExpiry(value)
			}
		case "operator":
			if err = json.Unmarshal(raw, &k.Operator); err != nil {
				err = errors.New("want true or false")
			}
		default:
			return unknown(field)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		return nil
	})
	if err == nil && len(digests) == 0 {
		err = errors.New("sha256 is missing")
	}
	return digests, err
}

// unknown does not repeat a field that is like no other: it may be a key.
func unknown(field string) error {
	if near := usage.Nearest(field, fields); near != "" {
		return fmt.Errorf("%.40s: unknown, did you mean %s?", field, near)
	}
	return fmt.Errorf("a field that is unknown, want %s", strings.Join(fields, ", "))
}

func text(raw json.RawMessage) (s string, err error) {
	err = json.Unmarshal(raw, &s)
	if s = strings.TrimSpace(s); err != nil || s == "" {
		return "", errors.New("want a text that is not empty")
	}
	return s, nil
}

// texts reads an array of texts. An empty one would read as no bound.
func texts(raw json.RawMessage) (all []string, err error) {
	if err = json.Unmarshal(raw, &all); err != nil || len(all) == 0 || slices.Contains(all, "") {
		return nil, errors.New("want an array of texts that are not empty; leave it out to allow all")
	}
	return all, nil
}

func hashes(raw json.RawMessage) ([]digest, error) {
	var all []string
	if one, err := text(raw); err == nil {
		all = []string{one}
	} else if all, err = texts(raw); err != nil {
		return nil, errors.New("want 64 hex digits, the SHA-256 of the key, or an array of such texts")
	}
	digests := make([]digest, len(all))
	for i, value := range all {
		d, err := hash(value)
		if err != nil {
			return nil, err
		}
		if slices.Contains(digests[:i], d) {
			return nil, errors.New("the same hash twice")
		}
		digests[i] = d
	}
	return digests, nil
}

// nothing is what a broken pipe into sha256sum gives.
var nothing = sha256.Sum256(nil)

func hash(value string) (d digest, err error) {
	raw, err := hex.DecodeString(value)
	switch {
	case err != nil || len(raw) != len(d):
		return d, errors.New("not 64 hex digits: want the SHA-256 of the key, not the key")
	case digest(raw) == nothing || digest(raw) == sha256.Sum256([]byte("\n")):
		return d, errors.New("the SHA-256 of nothing: what made it got no key")
	}
	return digest(raw), nil
}

// parseExpiry reads a moment, or a day, at whose beginning (UTC) the key ends.
func parseExpiry(value string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("want the moment at which the key ends, as 2027-12-31 or 2027-12-31T08:00:00Z")
}
