package results_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

func keyText(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32)))
}

func parseKeys(t testing.TB, text string) *results.Keys {
	t.Helper()
	keys, err := results.ParseKeys([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestParseKeys(t *testing.T) {
	keys := parseKeys(t, "# made in May\n\n 2026-05:"+keyText('b')+" \r\nold_1.x:"+keyText('a'))
	if got := keys.IDs(); keys.ID() != "2026-05" || !slices.Equal(got, []string{"2026-05", "old_1.x"}) {
		t.Errorf("got %q", got)
	}
	none := (*results.Keys)(nil)
	if none.ID() != "" || none.IDs() != nil {
		t.Errorf("no keys are %q, %q", none.ID(), none.IDs())
	}
	short := base64.StdEncoding.EncodeToString([]byte("sixteen bytes..."))
	for text, want := range map[string]string{
		"":                          "no key in it: want a line ID:BASE64",
		"# nothing\n\n":             "no key in it: want a line ID:BASE64",
		keyText('a'):                "line 1: not a key, want ID:BASE64",
		"k1:" + short:               "line 1: key k1 has 16 bytes, want 32: make one with openssl rand -base64 32",
		"k1:":                       "line 1: key k1 has 0 bytes, want 32: make one with openssl rand -base64 32",
		"k1:not base64!":            "line 1: key k1 is not base64",
		"k 1:" + keyText('a'):       "line 1: the key's id, before the colon, is not 1 to 32 letters, digits or any of . _ -",
		":" + keyText('a'):          "line 1: the key's id, before the colon, is not 1 to 32 letters, digits or any of . _ -",
		strings.Repeat("# \n", 1e5): "over 65536 bytes: that is no file of keys",
		"k1:" + keyText('a') + "\nk1:" + keyText('b'): "line 2: key k1 is repeated",
	} {
		if _, err := results.ParseKeys([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func TestLoadKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte("k1:"+keyText('a')+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := results.LoadKeys(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := results.LoadKeys(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o640} {
		write(mode)
		if keys, err := results.LoadKeys(path); err != nil || keys.ID() != "k1" {
			t.Errorf("%v: %v", mode, err)
		}
	}
	if runtime.GOOS == "windows" {
		return // where permissions are no bits
	}
	for _, mode := range []os.FileMode{0o644, 0o602, 0o604} {
		write(mode)
		if _, err := results.LoadKeys(path); err == nil || !strings.Contains(err.Error(), "everybody on this machine may read or write it") {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

// No verb shows a key.
func TestKeysDoNotPrint(t *testing.T) {
	keys := parseKeys(t, "k1:"+keyText('a'))
	store := results.NewStore(nil)
	store.Keys = keys
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{keys, *store.Keys, struct{ K *results.Keys }{keys}} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range []string{keyText('a')[:8], "aaaaaa", "616161", "97 97"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: %s", verb, text)
				}
			}
		}
	}
}

// A value that another program has written, and that other languages can test
// themselves with: docs/encryption.md has it.
func TestKnownValue(t *testing.T) {
	keys := parseKeys(t, "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=") // 0123456789abcdef twice
	const value = "enc:v1:k1:AAECAwQFBgcICQoLyVgbmXylbIOl+rbHM+FvvwyUL0BHOw=="
	text, err := keys.Open("t1", "answer", value)
	if err != nil || text != "你好" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestSealAndOpen(t *testing.T) {
	one, other, none := parseKeys(t, "k1:"+keyText('a')), parseKeys(t, "k1:"+keyText('b')), (*results.Keys)(nil)
	rotated := parseKeys(t, "k2:"+keyText('b')+"\nk1:"+keyText('a'))
	value := one.Seal("t1", "answer", "42")
	if !seal.Is(value) || !strings.HasPrefix(value, "enc:v1:k1:") || value == one.Seal("t1", "answer", "42") {
		t.Errorf("got %q", value)
	}
	for _, keys := range []*results.Keys{one, rotated} {
		if text, err := keys.Open("t1", "answer", value); err != nil || text != "42" {
			t.Errorf("%v: %q, %v", keys, text, err)
		}
	}
	if !strings.HasPrefix(rotated.Seal("t1", "answer", "42"), "enc:v1:k2:") {
		t.Error("the first key does not encrypt")
	}
	last := len(value) - 5 // within the tag
	changed := value[:last] + string(value[last]^1) + value[last+1:]
	for what, try := range map[string]struct {
		keys         *results.Keys
		owner, field string
		value        string
		held         bool
	}{
		"no keys":       {none, "t1", "answer", value, false},
		"another id":    {parseKeys(t, "k2:"+keyText('a')), "t1", "answer", value, false},
		"another key":   {other, "t1", "answer", value, true},
		"another task":  {one, "t2", "answer", value, true},
		"another field": {one, "t1", "reasoning", value, true},
		"changed":       {one, "t1", "answer", changed, true},
	} {
		_, err := try.keys.Open(try.owner, try.field, try.value)
		if e, ok := errors.AsType[*results.SealedError](err); !ok || e.KeyID != "k1" || e.Held != try.held {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, clear := range []string{"", "42", "enc:", "enc:v1:", "enc:v1:k1:", "enc:v1:k1:MTIz", "enc:v1:k 1:" + strings.Repeat("a", 44), "enc:v2:k1:" + strings.Repeat("a", 44)} {
		if text, err := one.Open("t1", "answer", clear); err != nil || text != clear || seal.Is(clear) {
			t.Errorf("%q opens as %q, %v", clear, text, err)
		}
	}
	if none.Seal("t1", "answer", "42") != "42" || one.Seal("t1", "answer", "") != "" {
		t.Error("no keys, or no text, are encrypted")
	}
	// What looks like an encrypted value and is somebody's text comes back as it was.
	if text, err := one.Open("t1", "answer", one.Seal("t1", "answer", value)); err != nil || text != value {
		t.Errorf("got %q, %v", text, err)
	}
}

// Somebody who puts a task aside, or cancels it, without being able to read its texts
// leaves them as they are.
func TestUnreadTextsStay(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		with, without := tasktest.NewStore(t, rdb), tasktest.NewStore(t, rdb)
		with.Keys = parseKeys(t, "k1:"+keyText('a'))
		tasktest.Create(t, with, "t1")
		a := tasktest.Begin(t, with, "t1")
		a.Result.Warnings = []string{"one, two", "three"}
		if err := a.Wait(t.Context(), &results.Failure{Class: "rate", Message: "too fast"}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*results.Store{without, with} {
			if r, err := s.Get(t.Context(), "t1"); err != nil || (r.Sealed != nil) != (s == without) {
				t.Errorf("got %+v, %v", r, err)
			}
		}
		b := tasktest.Begin(t, without, "t1")
		if err := b.Wait(t.Context(), &results.Failure{Class: "auth", Message: "no key", Unencrypted: true}); err != nil {
			t.Fatal(err)
		}
		if r, err := record.New(without).Cancel(t.Context(), "t1"); err != nil || r.Status != results.Canceled {
			t.Fatalf("got %+v, %v", r, err)
		}
		r, err := with.Wait(t.Context(), "t1")
		if err != nil || r.Sealed != nil || !slices.Equal(r.Warnings, []string{"one, two", "three"}) {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	keys := parseKeys(f, "k1:"+keyText('a'))
	f.Add(keys.Seal("t1", "answer", "42"))
	f.Add("enc:v1:k1:" + strings.Repeat("A", 40))
	f.Fuzz(func(t *testing.T, value string) {
		text, err := keys.Open("t2", "answer", value) // where nothing of this can belong
		if seal.Is(value) != (err != nil) || err == nil && text != value {
			t.Errorf("%q opens as %q, %v", value, text, err)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("k1:" + keyText('a') + "\n#\nk2:" + keyText('b')))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := results.ParseKeys(text)
		if err != nil {
			return
		}
		if got, err := keys.Open("t", "f", keys.Seal("t", "f", "x")); err != nil || got != "x" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}
