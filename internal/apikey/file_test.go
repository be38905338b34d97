package apikey_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/tasktest"
)

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, text string) (*apikey.File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, text)
	return apikey.Load(path, slog.New(slog.DiscardHandler))
}

const wholeKey = `{
	"shop": {"sha256": "%s", "bots": ["7342", "7343"], "queues": ["default", "low"], "credential": "main",
	         "rate": "300/m", "in_flight": 100, "expires": "2099-12-31"},
	"ops":  {"sha256": ["%s", "%s"]}
}`

func TestLookup(t *testing.T) {
	f, err := load(t, fmt.Sprintf(wholeKey, hash("one"), hash("two"), strings.ToUpper(hash("three"))))
	if err != nil {
		t.Fatal(err)
	}
	key, err := f.Lookup("one")
	if err != nil || key.Name != "shop" || key.Rate != (apikey.Rate{N: 300, Per: time.Minute}) || key.MaxInFlight != 100 ||
		key.Credential != "main" || !key.Expires.Equal(time.Date(2099, 12, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", key, err)
	}
	for _, token := range []string{"two", "three"} {
		if key, err := f.Lookup(token); err != nil || key.Name != "ops" {
			t.Errorf("%s: %+v, %v", token, key, err)
		}
	}
	for _, token := range []string{"", "four", "one\n", hash("one")} {
		if key, err := f.Lookup(token); !errors.Is(err, apikey.ErrUnknown) || key != nil {
			t.Errorf("%q: %+v, %v", token, key, err)
		}
	}
	if keys := f.Keys(); len(keys) != 2 || keys[0].Name != "ops" || keys[1].Name != "shop" {
		t.Error(keys)
	}
}

func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins on 2000-01-01
		f, err := load(t, `{"shop": {"sha256": "`+hash("one")+`", "expires": "2000-01-01T01:00:00Z"}}`)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - 1)
		if _, err := f.Lookup("one"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Nanosecond)
		key, err := f.Lookup("one")
		if !errors.Is(err, apikey.ErrExpired) || key != nil || err.Error() != "the API key shop has expired at 2000-01-01T01:00:00Z" {
			t.Errorf("%+v, %v", key, err)
		}
	})
}

// What is wrong, in words for who wrote the file. No message has a hash or a key.
func TestWrong(t *testing.T) {
	one, secret := hash("one"), "cozeq_1f0a7d2b99c4e6"
	files := map[string]string{
		"empty":                 ``,
		"no object":             `[]`,
		"no key":                `{}`,
		"not JSON":              `{"shop": {"sha256": "` + one + `",}}`,
		"two objects":           `{"shop": {"sha256": "` + one + `"}} {}`,
		"name":                  `{"The Shop": {"sha256": "` + one + `"}}`,
		"name is a key":         `{"shop": {"sha256": "` + one + `"}, "` + strings.ToUpper(secret) + `": {}}`,
		"name is a hash":        `{"` + one + `": {"sha256": "` + one + `"}}`,
		"name twice":            `{"shop": {"sha256": "` + one + `"}, "shop": {"sha256": "` + hash("two") + `"}}`,
		"entry":                 `{"shop": "` + one + `"}`,
		"no hash":               `{"shop": {"rate": "10/s"}}`,
		"the key itself":        `{"shop": {"sha256": "` + secret + `"}}`,
		"hash short":            `{"shop": {"sha256": "` + one[2:] + `"}}`,
		"hash of another kind":  `{"shop": {"sha256": 7}}`,
		"hash of nothing":       `{"shop": {"sha256": "` + hash("") + `"}}`,
		"hash of a newline":     `{"shop": {"sha256": "` + hash("\n") + `"}}`,
		"hash of two":           `{"shop": {"sha256": "` + one + `"}, "ops": {"sha256": "` + one + `"}}`,
		"hash twice":            `{"shop": {"sha256": ["` + one + `", "` + one + `"]}}`,
		"no hashes":             `{"shop": {"sha256": []}}`,
		"bots":                  `{"shop": {"sha256": "` + one + `", "bots": "7342"}}`,
		"no bots":               `{"shop": {"sha256": "` + one + `", "bots": []}}`,
		"bots of numbers":       `{"shop": {"sha256": "` + one + `", "bots": [7342]}}`,
		"queue empty":           `{"shop": {"sha256": "` + one + `", "queues": [""]}}`,
		"credential":            `{"shop": {"sha256": "` + one + `", "credential": " "}}`,
		"rate":                  `{"shop": {"sha256": "` + one + `", "rate": "fast"}}`,
		"rate zero":             `{"shop": {"sha256": "` + one + `", "rate": "0/s"}}`,
		"in flight":             `{"shop": {"sha256": "` + one + `", "in_flight": 0}}`,
		"expires":               `{"shop": {"sha256": "` + one + `", "expires": "next year"}}`,
		"field misspelt":        `{"shop": {"sha256": "` + one + `", "inflight": 3}}`,
		"field misspelt by one": `{"shop": {"sha256": "` + one + `", "queue": ["low"]}}`,
		"field unknown":         `{"shop": {"sha256": "` + one + `", "` + secret + `": 3}}`,
	}
	var lines []string
	for name, text := range files {
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%s is read", name)
			continue
		}
		_, what, _ := strings.Cut(err.Error(), "keys.json: ")
		lines = append(lines, name+": "+what)
		if s := strings.ToLower(err.Error()); strings.Contains(s, one[:8]) || strings.Contains(s, secret) {
			t.Errorf("%s tells a secret: %v", name, err)
		}
	}
	slices.Sort(lines)
	tasktest.Golden(t, "wrong.txt", strings.Join(lines, "\n")+"\n")

	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := apikey.Load(path, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	write(t, path, `{"shop": {"sha256": "`+one+`"}}`)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := apikey.Load(path, nil); err == nil || !strings.Contains(err.Error(), "chmod o-w "+path) {
		t.Error(err)
	}
}

// A version that is wrong, or gone, is told once and leaves the keys what they were.
func TestReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		write(t, path, `{"shop": {"sha256": "`+hash("one")+`"}}`)
		var log bytes.Buffer
		f, err := apikey.Load(path, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		found := func(token, want string) {
			t.Helper()
			time.Sleep(time.Second)
			key, _ := f.Lookup(token)
			if key.Tenant() != want {
				t.Errorf("%s is a key of %q, want %q", token, key.Tenant(), want)
			}
		}
		logged := func(want string) {
			t.Helper()
			if n := strings.Count(log.String(), "\n"); !strings.Contains(log.String(), want) || n != 1 || strings.Contains(log.String(), hash("two")) {
				t.Errorf("%d lines in the log: %s", n, &log)
			}
			log.Reset()
		}
		found("one", "shop")
		write(t, path, `{"shop": {"sha256": "`+hash("two")+`", "rat": "10/s"}}`)
		found("one", "shop")
		found("one", "shop")
		logged("key shop: rat: unknown, did you mean rate?")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		found("one", "shop")
		found("one", "shop")
		logged("no such file")
		write(t, path, `{"ops": {"sha256": "`+hash("two")+`"}}`)
		found("two", "ops")
		found("one", "")
	})
}

func TestChecks(t *testing.T) {
	var none *apikey.Key
	all := &apikey.Key{Name: "ops"}
	for _, key := range []*apikey.Key{none, all, apikey.FromContext(t.Context())} {
		if err := errors.Join(key.CheckBot("7"), key.CheckQueue("low"), key.CheckCredential("main")); err != nil {
			t.Error(err)
		}
	}
	key := &apikey.Key{Name: "shop", Bots: []string{"1", "2", "3", "4", "5", "6", "7"}, Queues: []string{"low"}, Credential: "main"}
	key = apikey.FromContext(apikey.NewContext(t.Context(), key))
	if err := errors.Join(key.CheckBot("7"), key.CheckQueue("low"), key.CheckCredential("main")); err != nil {
		t.Error(err)
	}
	for _, err := range []error{key.CheckBot("8"), key.CheckQueue("critical"), key.CheckCredential("")} {
		if e, ok := errors.AsType[*apikey.ForbiddenError](err); !ok || e.Key != "shop" {
			t.Error(err)
		}
	}
	if err := key.CheckBot("8"); err.Error() != `the key shop may not use bot "8", only 1, 2, 3, 4, 5 and 2 more` {
		t.Error(err)
	}
	if key := apikey.FromContext(apikey.NewContext(context.Background(), nil)); key.Tenant() != "" {
		t.Errorf("%+v", key)
	}
}

// FuzzLoad: whatever is in the file, nothing panics, no error repeats a hash, and a key that is read has a name.
func FuzzLoad(f *testing.F) {
	f.Add(fmt.Sprintf(wholeKey, hash("one"), hash("two"), hash("three")))
	f.Add(`{"shop": {"sha256": "` + hash("one") + `", "rate": "0.5/h", "in_flight": 1e9}}`)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := load(t, text)
		if err != nil {
			if strings.Contains(err.Error(), hash("one")[:16]) {
				t.Error(err)
			}
			return
		}
		if keys := file.Keys(); len(keys) == 0 || keys[0].Name == "" {
			t.Errorf("%+v", keys)
		}
	})
}
