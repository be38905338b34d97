package coze_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// rotating is a source that has another token at each refresh, as far as next goes.
type rotating struct {
	mu        sync.Mutex
	token     string
	next      []string
	err       error
	refreshed []string
}

func (r *rotating) Token(context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.token, nil
}

func (r *rotating) Refresh(_ context.Context, rejected string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refreshed = append(r.refreshed, rejected)
	if r.err == nil && len(r.next) > 0 {
		r.token, r.next = r.next[0], r.next[1:]
	}
	return r.err
}

// guarded is a server that takes one token, and counts.
type guarded struct {
	good            string
	refuse, accept  roundTrip
	refused, passed int
}

func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") == "Bearer "+g.good {
		g.passed++
		return g.accept.RoundTrip(r)
	}
	g.refused++
	return g.refuse.RoundTrip(r)
}

// The ways to call, with a good reply to each.
var asked = []struct {
	name  string
	reply roundTrip
	call  func(*testing.T, *coze.Client) error
}{
	{"stream", stream(created + answered + completed), func(t *testing.T, c *coze.Client) error {
		if h := listen(t, c, false); h.err != nil {
			return h.err
		}
		return nil
	}},
	{"create chat", reply(200, js, `{"code":0,"data":{"id":"7","conversation_id":"8","status":"in_progress"}}`), func(t *testing.T, c *coze.Client) error {
		_, err := c.CreateChat(t.Context(), question())
		return err
	}},
	{"create message", reply(200, js, `{"code":0,"data":{"id":"1"}}`), func(t *testing.T, c *coze.Client) error {
		_, err := c.CreateMessage(t.Context(), "7", &coze.Message{Content: "the body goes twice"})
		return err
	}},
	{"retrieve", reply(200, js, `{"code":0,"data":{"id":"7"}}`), func(t *testing.T, c *coze.Client) error {
		_, err := c.RetrieveConversation(t.Context(), "7")
		return err
	}},
}

func TestTokenIsRenewedOnce(t *testing.T) {
	refusals := map[string]roundTrip{
		"401":       reply(401, "text/html", "<html>no</html>"),
		"700012006": reply(401, js, refusal(700012006)),
		"in a 200":  reply(200, js, refusal(700012006)),
		"4100":      reply(200, js, refusal(4100)),
		"4101":      reply(200, js, refusal(4101)),
	}
	for name, refuse := range refusals {
		for _, way := range asked {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				g := &guarded{good: "pat_2", refuse: refuse, accept: way.reply}
				source := &rotating{token: "pat_1", next: []string{"pat_2"}}
				c := clientOf(g)
				c.Auth = source
				if err := way.call(t, c); err != nil {
					t.Fatal(err)
				}
				if g.refused != 1 || g.passed != 1 || len(source.refreshed) != 1 || source.refreshed[0] != "pat_1" {
					t.Errorf("refused %d, passed %d, refreshed for %q", g.refused, g.passed, source.refreshed)
				}

				// The next token is no good either: that is told, after the second call.
				g = &guarded{good: "none", refuse: refuse, accept: way.reply}
				source = &rotating{token: "pat_1", next: []string{"pat_2", "pat_3"}}
				c = clientOf(g)
				c.Auth = source
				e := typed(t, way.call(t, c))
				if e.Class != coze.ClassAuth || e.Zone != coze.ZoneRefused || g.refused != 2 || len(source.refreshed) != 1 {
					t.Errorf("%v: refused %d times, refreshed for %q", e, g.refused, source.refreshed)
				}
			})
		}
	}
}

func TestTokenIsNotRenewed(t *testing.T) {
	away := &coze.Error{Op: "oauth2/token", Class: coze.ClassTransient, Message: "the server of tokens is away"}
	for name, tt := range map[string]struct {
		refuse roundTrip
		source coze.TokenSource
		class  coze.Class
		text   string
	}{
		"no refresher":            {reply(401, js, refusal(700012006)), coze.StaticToken("pat_1"), coze.ClassAuth, "700012006"},
		"no other token":          {reply(401, js, refusal(700012006)), &rotating{token: "pat_1"}, coze.ClassAuth, "700012006"},
		"the refresh fails":       {reply(401, js, refusal(700012006)), &rotating{token: "pat_1", err: errors.New("gone")}, coze.ClassAuth, "700012006"},
		"its server is away":      {reply(401, js, refusal(700012006)), &rotating{token: "pat_1", err: away}, coze.ClassTransient, "away"},
		"not of the token: 4200":  {reply(200, js, refusal(4200)), &rotating{token: "pat_1", next: []string{"pat_2"}}, coze.ClassPermanent, "4200"},
		"not of the token: risk":  {reply(200, js, refusal(4102)), &rotating{token: "pat_1", next: []string{"pat_2"}}, coze.ClassAuth, "4102"},
		"not of the token: quota": {reply(200, js, refusal(4028)), &rotating{token: "pat_1", next: []string{"pat_2"}}, coze.ClassQuota, "4028"},
	} {
		for _, way := range asked {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				g := &guarded{refuse: tt.refuse}
				c := clientOf(g)
				c.Auth = tt.source
				e := typed(t, way.call(t, c))
				if e.Class != tt.class || e.Zone != coze.ZoneRefused || !strings.Contains(e.Error(), tt.text) || g.refused != 1 {
					t.Errorf("%v (%s, %s), refused %d times", e, e.Class, e.Zone, g.refused)
				}
			})
		}
	}
}

// A refusal inside a stream comes too late for a second call; the next ask has the new token.
func TestTokenRefusedInsideAStream(t *testing.T) {
	source := &rotating{token: "pat_1", next: []string{"pat_2"}}
	g := &guarded{good: "pat_2", refuse: stream(event("error", `{"code":4100,"msg":"authentication is invalid"}`)), accept: stream(created + answered + completed)}
	c := clientOf(g)
	c.Auth = source
	check(t, listen(t, c, false).err, coze.ClassAuth, coze.ZoneRefused, false, 4100)
	if h := listen(t, c, false); h.err != nil || g.refused != 1 || g.passed != 1 {
		t.Errorf("the next ask: %v, refused %d", h.err, g.refused)
	}

	// After a chat was made it is not a refusal: nothing is renewed, the chat is looked up.
	late := &rotating{token: "pat_1", next: []string{"pat_2"}}
	c = clientOf(stream(created + event("error", `{"code":4100,"msg":"authentication is invalid"}`)))
	c.Auth = late
	check(t, listen(t, c, false).err, coze.ClassAuth, coze.ZoneCreated, false, 4100)
	if len(late.refreshed) != 0 {
		t.Errorf("refreshed for %q", late.refreshed)
	}
}

// waiting is a source whose server of tokens does not answer.
type waiting struct{ rotating }

func (w *waiting) Refresh(ctx context.Context, _ string) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestContextEndsARenewal(t *testing.T) {
	for _, way := range asked {
		synctest.Test(t, func(t *testing.T) {
			c := clientOf(reply(401, js, refusal(700012006)))
			c.Auth, c.Idle = &waiting{rotating{token: "pat_1"}}, time.Minute
			began := time.Now()
			e := typed(t, way.call(t, c))
			if e.Class != coze.ClassTimeout || e.Zone != coze.ZoneRefused || !errors.Is(e, coze.ErrIdle) || time.Since(began) != time.Minute {
				t.Errorf("%s: %v (%s) after %v", way.name, e, e.Class, time.Since(began))
			}
		})
	}
}

func TestTokenFileIsReadAgainOnARefusal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	put(t, path, "pat_old")
	file := coze.NewTokenFile(path)
	if _, err := file.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, path, "pat_new") // of the same size, and looked at less than a second ago
	g := &guarded{good: "pat_new", refuse: reply(401, js, refusal(700012006)), accept: reply(200, js, `{"code":0,"data":{"id":"7"}}`)}
	c := clientOf(g)
	c.Auth = file
	if _, err := c.RetrieveConversation(t.Context(), "7"); err != nil || g.refused != 1 {
		t.Errorf("%v, refused %d", err, g.refused)
	}
}

// A source that fails with an error of its own is quoted, not described as a missing token.
func TestSourceFailsWithAnError(t *testing.T) {
	own := (&coze.Error{Op: "oauth2/token", Status: 401, Class: coze.ClassAuth, Scope: coze.ScopeAccount, Zone: coze.ZoneUnknown, Message: "invalid_client"}).WithHint("check the app")
	c := clientOf(roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.EOF }))
	c.Auth = source{own}
	e := typed(t, func() error { _, err := c.Stream(t.Context(), question()); return err }())
	check(t, e, coze.ClassAuth, coze.ZoneRefused, false, 0)
	if e.Op != "oauth2/token" || e.Message != "invalid_client" || e.Hint() != "check the app" || own.Zone != coze.ZoneUnknown {
		t.Errorf("%v, hint %q", e, e.Hint())
	}
}
