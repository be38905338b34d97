package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/coze/oauth"
)

const endpoint = "/api/permission/oauth2/token"

// served is a fake Coze with an app, and a source of its tokens.
func served(t *testing.T, options ...cozetest.Option) (*cozetest.Server, *oauth.Source) {
	t.Helper()
	srv := cozetest.NewInMemory(t, append(options, func(c *cozetest.Config) { c.OAuthKey = &theKey().PublicKey })...)
	return srv, sourceOf(t, oauth.Config{BaseURL: srv.URL, HTTP: srv.HTTPClient()})
}

func sourceOf(t *testing.T, c oauth.Config) *oauth.Source {
	t.Helper()
	c.ClientID, c.PublicKeyID, c.Key = "app_1", "fingerprint_1", theKey()
	s, err := oauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func token(t *testing.T, s *oauth.Source) string {
	t.Helper()
	got, err := s.Token(t.Context())
	if err != nil || got == "" {
		t.Fatalf("token %q: %v", got, err)
	}
	return got
}

func failed(t *testing.T, err error) *coze.Error {
	t.Helper()
	e, ok := errors.AsType[*coze.Error](err)
	if !ok {
		t.Fatalf("%T %v, want a *coze.Error", err, err)
	}
	return e
}

func TestTokenIsGotOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, s := served(t, func(c *cozetest.Config) { c.Delay = time.Second })
		var all sync.WaitGroup
		tokens := make([]string, 100)
		for i := range tokens {
			all.Go(func() { tokens[i], _ = s.Token(t.Context()) })
		}
		all.Wait()
		for _, got := range tokens {
			if got == "" || got != tokens[0] {
				t.Fatalf("tokens differ: %q", tokens)
			}
		}
		if n := srv.Calls(endpoint); n != 1 {
			t.Errorf("%d tokens were got for 100 callers", n)
		}
	})
}

// The life is 15 min: the next token is got at 12, beside the callers, and the one before is used meanwhile.
func TestTokenIsRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, s := served(t)
		first := token(t, s)
		time.Sleep(12*time.Minute - time.Second)
		if token(t, s) != first || srv.Calls(endpoint) != 1 {
			t.Errorf("renewed too early: %d calls", srv.Calls(endpoint))
		}
		time.Sleep(time.Second)
		if err := srv.SetRules(cozetest.Rule{On: "token", Fault: cozetest.Fault{Kind: cozetest.Stall, For: 20 * time.Second}}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 50 {
			if token(t, s) != first {
				t.Error("the old token is good, and not used")
			}
		}
		if time.Since(began) != 0 {
			t.Errorf("callers waited %v", time.Since(began))
		}
		time.Sleep(21 * time.Second)
		if token(t, s) == first || srv.Calls(endpoint) != 2 {
			t.Errorf("not renewed: %d calls", srv.Calls(endpoint))
		}
	})
}

// A server of tokens that is away is asked now and then; the old token goes on to just before its end, and no further.
func TestOldTokenOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, s := served(t)
		first := token(t, s)
		if err := srv.SetRules(cozetest.Rule{On: "token", Fault: cozetest.Fault{Kind: cozetest.Gateway, Status: 503}}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for time.Since(began) < 15*time.Minute-11*time.Second {
			if token(t, s) != first {
				t.Fatal("another token from nowhere")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := srv.Calls(endpoint); n < 10 || n > 30 {
			t.Errorf("asked %d times in the last three minutes, want once in 10 s", n)
		}
		time.Sleep(time.Second)
		_, err := s.Token(t.Context())
		if e := failed(t, err); e.Class != coze.ClassTransient || e.Status != 503 {
			t.Errorf("%v (%s)", e, e.Class)
		}
		if err := srv.SetRules(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if token(t, s) == first {
			t.Error("a dead token was given")
		}
	})
}

// Many callers of a server that is away do not each ask it.
func TestFailureIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, s := served(t, cozetest.WithRules(cozetest.Rule{On: "token", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Hangup}}))
		for range 100 {
			_, err := s.Token(t.Context())
			if e := failed(t, err); e.Class != coze.ClassTransient || e.Op != "oauth2/token" {
				t.Fatalf("%v (%s)", e, e.Class)
			}
		}
		if n := srv.Calls(endpoint); n != 1 {
			t.Errorf("asked %d times within a second", n)
		}
		time.Sleep(time.Second)
		token(t, s)
	})
}

// A caller who leaves does not take the token along that others wait for.
func TestCallerMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, s := served(t, func(c *cozetest.Config) { c.Delay = 10 * time.Second })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var stayed string
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who left: %v", err)
			}
		})
		all.Go(func() {
			time.Sleep(time.Millisecond)
			stayed = token(t, s)
		})
		all.Wait()
		if stayed == "" || srv.Calls(endpoint) != 1 {
			t.Errorf("who stayed has %q after %d calls", stayed, srv.Calls(endpoint))
		}
		if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that has ended: %v", err)
		}
		if err := s.Refresh(ctx, stayed); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that has ended: refresh: %v", err)
		}
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, s := served(t)
		first := token(t, s)
		refresh := func(rejected string) {
			t.Helper()
			if err := s.Refresh(t.Context(), rejected); err != nil {
				t.Error(err)
			}
		}
		var all sync.WaitGroup
		for range 50 { // as many chats as are refused at a time
			all.Go(func() { refresh(first) })
		}
		all.Wait()
		second := token(t, s)
		if second == first || srv.Calls(endpoint) != 2 {
			t.Fatalf("%d calls", srv.Calls(endpoint))
		}
		refresh(first) // came late: it is done
		refresh(second)
		if token(t, s) != second || srv.Calls(endpoint) != 2 {
			t.Errorf("a token just made is refused: another would be too, but there were %d calls", srv.Calls(endpoint))
		}
		time.Sleep(5 * time.Second)
		refresh(second)
		third := token(t, s)
		if third == second || srv.Calls(endpoint) != 3 {
			t.Errorf("%d calls", srv.Calls(endpoint))
		}

		// A refused token is not given again while there is no other.
		if err := srv.SetRules(cozetest.Rule{On: "token", Fault: cozetest.Fault{Kind: cozetest.Gateway}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if e := failed(t, s.Refresh(t.Context(), third)); e.Class != coze.ClassTransient {
			t.Errorf("%v (%s)", e, e.Class)
		}
		if got, err := s.Token(t.Context()); err == nil {
			t.Errorf("the refused token %q was given", got)
		}
	})
}

// The whole way: tokens that die early, and a client that goes on.
func TestClientGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, s := served(t)
		c := &coze.Client{BaseURL: srv.URL, HTTP: srv.HTTPClient(), Auth: s}
		id, err := c.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := c.CreateConversation(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if err := c.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			srv.ExpireTokens()
			stream, err := c.Stream(t.Context(), &coze.ChatRequest{BotID: "b", UserID: "u", AdditionalMessages: []coze.Message{coze.UserText("hello")}})
			if err != nil {
				t.Fatal(err)
			}
			var chat coze.Chat
			for event, err := range stream.Events() {
				if err != nil {
					t.Fatal(err)
				}
				chat.Accumulate(event)
			}
			if chat.Answer() == "" {
				t.Error("no answer")
			}
			time.Sleep(5 * time.Second)
		}
		if srv.Calls(endpoint) != 4 || srv.Calls("/v3/chat") != 9 || // three are of Check
			srv.Accepted() != 3 || srv.Repeats() != 2 {
			t.Errorf("%d tokens, %d asks, %d chats", srv.Calls(endpoint), srv.Calls("/v3/chat"), srv.Accepted())
		}
		if again, err := c.Identity(t.Context()); again != id || err != nil {
			t.Errorf("identity %s, then %s: %v", id, again, err)
		}
	})
}

func TestIdentity(t *testing.T) {
	plain := sourceOf(t, oauth.Config{})
	named := sourceOf(t, oauth.Config{SessionName: "alice"})
	if plain.Identity() == named.Identity() || !strings.Contains(plain.Identity(), "app_1") {
		t.Errorf("%q and %q", plain.Identity(), named.Identity())
	}
}

func TestSourceHides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := served(t)
		secret := token(t, s)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "source", s)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "source", s)
		shown := log.String() + fmt.Sprintf("%v %+v %#v %s %q %d %x", s, s, s, s, s, s, s)
		if strings.Contains(shown, secret) || strings.Contains(shown, theKey().D.String()) || !strings.Contains(shown, "app_1") {
			t.Errorf("shown: %s", shown)
		}
	})
}

func TestConfig(t *testing.T) {
	good := oauth.Config{ClientID: "a", PublicKeyID: "b", Key: theKey(), HTTP: http.DefaultClient}
	if _, err := oauth.New(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*oauth.Config){
		"client id":   func(c *oauth.Config) { c.ClientID = " " },
		"fingerprint": func(c *oauth.Config) { c.PublicKeyID = "" },
		"private key": func(c *oauth.Config) { c.Key = nil },
		"life":        func(c *oauth.Config) { c.Life = 24 * time.Hour },
		"a life":      func(c *oauth.Config) { c.Life = time.Millisecond },
		"base URL":    func(c *oauth.Config) { c.BaseURL = "api.coze.cn" },
		"URL is none": func(c *oauth.Config) { c.BaseURL = "https://u:secret@api.coze.cn" },
	} {
		c := good
		change(&c)
		if _, err := oauth.New(c); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
