package coze_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
)

func TestStaticTokenHides(t *testing.T) {
	token := coze.StaticToken("pat_secret")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token, "in", struct{ T coze.StaticToken }{token})
	marshalled, err := json.Marshal(map[string]any{"token": token})
	if err != nil {
		t.Fatal(err)
	}
	var verbs string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		verbs += fmt.Sprintf(verb, token)
	}
	for _, shown := range []string{
		verbs, fmt.Sprintf("%v %#v", struct{ T any }{token}, []any{token}),
		log.String(), string(marshalled),
	} {
		if strings.Contains(shown, "secret") || strings.Contains(shown, fmt.Sprintf("%x", "secret")) || strings.Contains(shown, fmt.Sprintf("%X", "secret")) {
			t.Errorf("the token is in %s", shown)
		}
	}
	if got, err := token.Token(t.Context()); got != "pat_secret" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	synctest.Test(t, func(t *testing.T) {
		f := coze.NewTokenFile(path)
		expect := func(want string) {
			t.Helper()
			if got, err := f.Token(t.Context()); got != want || err != nil {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		}
		if _, err := f.Token(t.Context()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no file: %v", err)
		}
		put(t, path, " \n")
		if got, err := f.Token(t.Context()); err == nil {
			t.Errorf("an empty file gives %q", got)
		}
		put(t, path, "pat_one\n")
		expect("pat_one")

		put(t, path, "pat_second")
		expect("pat_one") // looked at less than a second ago
		time.Sleep(time.Second)
		expect("pat_second")

		put(t, path+".new", "pat_third.")
		if err := os.Rename(path+".new", path); err != nil { // as secrets are rotated: same size, another file
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		expect("pat_third.")

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		expect("pat_third.") // the last good one
		if err := f.Refresh(t.Context(), "pat_third."); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("refresh without a file: %v", err)
		}
		expect("pat_third.")

		put(t, path, "pat_fourth")
		if err := f.Refresh(t.Context(), "pat_second"); err != nil { // refused long ago: what there is may be good
			t.Error(err)
		}
		expect("pat_third.")
		if err := f.Refresh(t.Context(), "pat_third."); err != nil {
			t.Error(err)
		}
		expect("pat_fourth")

		if s := fmt.Sprintf("%v %+v %#v %s", f, f, f, f); strings.Contains(s, "pat_") {
			t.Errorf("the token is in %s", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.Token(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that ended: %v", err)
		}
		if err := f.Refresh(ctx, "pat_fourth"); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that ended: refresh: %v", err)
		}
	})
}

func TestNewTransport(t *testing.T) {
	tr := coze.NewTransport(500)
	if tr.MaxIdleConnsPerHost != 500 || tr.MaxIdleConns != 500 || tr.MaxConnsPerHost != 0 || !tr.ForceAttemptHTTP2 {
		t.Errorf("the pool is not of 500: %+v", tr)
	}
	if tr.TLSHandshakeTimeout != 10*time.Second || tr.ResponseHeaderTimeout != time.Minute {
		t.Errorf("TLS %v, headers %v", tr.TLSHandshakeTimeout, tr.ResponseHeaderTimeout)
	}
}
