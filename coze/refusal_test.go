package coze_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// TestRefusals is what may come instead of a stream: transcripts 28, 31, 32 and 52, to both ways of asking.
func TestRefusals(t *testing.T) {
	const js, html = "application/json; charset=utf-8", "text/html"
	page := "<html><body>" + strings.Repeat("bad gateway ", 500) + "</body></html>"
	tests := []struct {
		name  string
		rt    roundTrip
		class coze.Class
		zone  coze.Zone
		code  int
		retry time.Duration
		scope coze.Scope
		text  string
	}{
		{"28 4101", reply(200, js, refusal(4101)), coze.ClassAuth, coze.ZoneRefused, 4101, 0, coze.ScopeAccount, "refused"},
		{"28 4200", reply(200, js, refusal(4200)), coze.ClassPermanent, coze.ZoneRefused, 4200, 0, coze.ScopeBot, "refused"},
		{"28 4000", reply(200, js, refusal(4000)), coze.ClassPermanent, coze.ZoneRefused, 4000, 0, "", "refused"},
		{"28 4013", reply(200, js, refusal(4013), "Retry-After", "3"), coze.ClassRate, coze.ZoneRefused, 4013, 3 * time.Second, coze.ScopeAccount, "refused"},
		{"30 401 700012006", reply(401, js, refusal(700012006)), coze.ClassAuth, coze.ZoneRefused, 700012006, 0, coze.ScopeAccount, "refused"},
		{"31 404 4000", reply(404, js, refusal(4000)), coze.ClassEndpoint, coze.ZoneRefused, 4000, 0, coze.ScopeAccount, "refused"},
		{"31 400 4000", reply(400, js, refusal(4000)), coze.ClassPermanent, coze.ZoneRefused, 4000, 0, "", "refused"},
		{"31 403 without JSON", reply(403, html, page), coze.ClassPermanent, coze.ZoneRefused, 0, 0, "", "text/html: <html>"},
		{"31 403 4101", reply(403, js, refusal(4101)), coze.ClassAuth, coze.ZoneRefused, 4101, 0, coze.ScopeAccount, ""},
		{"31 429 seconds", reply(429, html, page, "Retry-After", "7"), coze.ClassRate, coze.ZoneRefused, 0, 7 * time.Second, coze.ScopeAccount, ""},
		{"31 429 without", reply(429, "", ""), coze.ClassRate, coze.ZoneRefused, 0, 0, coze.ScopeAccount, "empty"},
		{"31 429 with a code unknown", reply(429, js, refusal(4999)), coze.ClassRate, coze.ZoneRefused, 4999, 0, coze.ScopeAccount, ""},
		{"31 429 junk", reply(429, "", "", "Retry-After", "soon"), coze.ClassRate, coze.ZoneRefused, 0, 0, coze.ScopeAccount, ""},
		{"31 500", reply(500, "text/plain", "internal"), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", "internal"},
		{"31 500 with an envelope", reply(500, js, refusal(5000)), coze.ClassTransient, coze.ZoneRefused, 5000, 0, "", "refused"},
		{"31 502", reply(502, html, page), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", "text/html"},
		{"31 503", reply(503, html, page, "Retry-After", "2"), coze.ClassTransient, coze.ZoneUnknown, 0, 2 * time.Second, "", ""},
		{"31 504", reply(504, html, page), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", ""},
		{"31 502 in JSON without a code", reply(502, js, `{"error":"upstream"}`), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", "upstream"},
		{"32 204", reply(204, "", ""), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", "empty"},
		{"32 captive page", reply(200, html, page), coze.ClassEndpoint, coze.ZoneUnknown, 0, 0, coze.ScopeAccount, "<html>"},
		{"another API", reply(200, js, `{"status":"ok"}`), coze.ClassEndpoint, coze.ZoneUnknown, 0, 0, coze.ScopeAccount, "ok"},
		{"404 without an envelope", reply(404, js, `{"detail":"Not Found"}`), coze.ClassEndpoint, coze.ZoneRefused, 0, 0, coze.ScopeAccount, "Not Found"},
		{"404 4200", reply(404, js, refusal(4200)), coze.ClassPermanent, coze.ZoneRefused, 4200, 0, coze.ScopeBot, "refused"},
		{"405", reply(405, html, page), coze.ClassEndpoint, coze.ZoneRefused, 0, 0, coze.ScopeAccount, ""},
		{"407", reply(407, html, page), coze.ClassEndpoint, coze.ZoneRefused, 0, 0, coze.ScopeAccount, ""},
		{"451", reply(451, html, page), coze.ClassEndpoint, coze.ZoneRefused, 0, 0, coze.ScopeAccount, ""},
		{"511", reply(511, html, page), coze.ClassEndpoint, coze.ZoneUnknown, 0, 0, coze.ScopeAccount, ""},
		{"304", reply(304, "", ""), coze.ClassEndpoint, coze.ZoneRefused, 0, 0, coze.ScopeAccount, ""},
		{"401 without JSON", reply(401, html, page), coze.ClassAuth, coze.ZoneRefused, 0, 0, coze.ScopeAccount, ""},
		{"408", reply(408, html, page), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", ""},
		{"408 with a code", reply(408, js, refusal(5000)), coze.ClassTransient, coze.ZoneRefused, 5000, 0, "", "refused"},
		{"499", reply(499, "", ""), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", ""},
		{"52 data null", reply(200, js, `{"code":0,"msg":"","data":null}`), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", "names no chat"},
		{"truncated JSON", reply(200, js, `{"code":0,"data":{"id":`), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", "application/json"},
		{"unknown 4xxx", reply(200, js, refusal(4998)), coze.ClassPermanent, coze.ZoneRefused, 4998, 0, "", ""},
		{"unknown 7xxxxxxxx", reply(200, js, refusal(799999999)), coze.ClassTransient, coze.ZoneRefused, 799999999, 0, "", ""},
		{"a gateway that echoes the header", reply(502, html, "Authorization: Bearer pat_secret_of_the_tests"), coze.ClassTransient, coze.ZoneUnknown, 0, 0, "", "[redacted]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errStream := clientOf(tt.rt).Stream(t.Context(), question())
			_, errCreate := clientOf(tt.rt).CreateChat(t.Context(), question())
			for _, err := range []error{errStream, errCreate} {
				if err == nil {
					t.Fatal("success")
				}
				e := typed(t, err)
				check(t, e, tt.class, tt.zone, false, tt.code)
				if e.RetryAfter != tt.retry || e.Scope != tt.scope {
					t.Errorf("retry after %v scope %q, want %v %q", e.RetryAfter, e.Scope, tt.retry, tt.scope)
				}
				if !strings.Contains(e.Message, tt.text) {
					t.Errorf("message %q lacks %q", e.Message, tt.text)
				}
				if strings.Contains(e.Error(), "pat_secret") || strings.Contains(e.Message, "pat_secret") {
					t.Errorf("the token is in %q", e)
				}
				if e.Class != coze.ClassCanceled && e.Hint() == "" {
					t.Error("no hint")
				}
			}
		})
	}
}

func TestRetryAfterDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
		_, err := clientOf(reply(429, "", "", "Retry-After", at)).Stream(t.Context(), question())
		if e := typed(t, err); e.RetryAfter != 90*time.Second {
			t.Errorf("retry after %v", e.RetryAfter)
		}
		past := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
		_, err = clientOf(reply(429, "", "", "Retry-After", past)).Stream(t.Context(), question())
		if e := typed(t, err); e.RetryAfter != 0 {
			t.Errorf("retry after %v, of the past", e.RetryAfter)
		}
		wrong := time.Now().AddDate(30, 0, 0).UTC().Format(http.TimeFormat)
		_, err = clientOf(reply(429, "", "", "Retry-After", wrong)).Stream(t.Context(), question())
		if e := typed(t, err); e.RetryAfter != 24*time.Hour {
			t.Errorf("retry after %v, by a clock that is wrong", e.RetryAfter)
		}
	})
}

// A reply to a stream request that made the chat but does not stream: the chat must be looked up, not asked again.
func TestGoodReplyThatIsNoStream(t *testing.T) {
	_, err := clientOf(reply(200, "application/json", `{"code":0,"data":{"id":"7","conversation_id":"8","status":"in_progress"}}`)).Stream(t.Context(), question())
	e := typed(t, err)
	check(t, e, coze.ClassTruncated, coze.ZoneCreated, false, 0)
	if e.ChatID != "7" || e.ConversationID != "8" {
		t.Errorf("chat %q in %q", e.ChatID, e.ConversationID)
	}
}

func TestLogIDs(t *testing.T) {
	for name, tt := range map[string]struct {
		rt   roundTrip
		want string
	}{
		"X-Tt-Logid":   {reply(200, "application/json", refusal(4000), "X-Tt-Logid", "HEAD"), "HEAD"},
		"X-Log-ID":     {reply(200, "application/json", refusal(4000), "X-Log-ID", "STUDIO"), "STUDIO"},
		"detail.logid": {reply(200, "application/json", refusal(4000)), "2026INBODY"},
		"error.logid":  {reply(200, "application/json", `{"code":4000,"msg":"x","error":{"logid":"OLD"}}`), "OLD"},
		"odd detail":   {reply(200, "application/json", `{"code":4000,"msg":"x","detail":"none","error":[]}`), ""},
	} {
		_, err := clientOf(tt.rt).Stream(t.Context(), question())
		if e := typed(t, err); e.LogID != tt.want || e.Code != 4000 {
			t.Errorf("%s: log id %q code %d", name, e.LogID, e.Code)
		}
	}
}

// Transcript 34: a connection that breaks before a byte, after the headers, and in the middle of a line.
func TestBrokenConnections(t *testing.T) {
	never := http.RoundTripper(unsent{errors.New("connection refused")})
	_, err := clientOf(never).Stream(t.Context(), question())
	check(t, typed(t, err), coze.ClassTransient, coze.ZoneRefused, false, 0)

	_, err = clientOf(roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.EOF })).Stream(t.Context(), question())
	check(t, typed(t, err), coze.ClassTransient, coze.ZoneUnknown, false, 0)
	if !errors.Is(err, io.EOF) {
		t.Errorf("cause lost: %v", err)
	}

	got := listen(t, clientOf(broken("")), false)
	check(t, got.err, coze.ClassTransient, coze.ZoneUnknown, false, 0)

	got = listen(t, clientOf(broken(created+delta1[:20])), false)
	check(t, got.err, coze.ClassTruncated, coze.ZoneCreated, false, 0)
	if !errors.Is(got.err, coze.ErrTruncated) || !errors.Is(got.err, errReset) {
		t.Errorf("cause lost: %v", got.err)
	}

	if got := listen(t, clientOf(broken(created+answered+completed)), false); got.err != nil || got.chat.Answer() != answer {
		t.Errorf("a reset after the terminal event: %v", got.err)
	}
}

// unsent fails as a dialer does: nobody has read the body.
type unsent struct{ err error }

func (u unsent) RoundTrip(*http.Request) (*http.Response, error) { return nil, u.err }

func TestOurOwnChecks(t *testing.T) {
	called := roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, io.EOF
	})
	c := clientOf(called)
	ctx := t.Context()
	all := map[string]func() error{
		"no request": func() error { _, err := c.Stream(ctx, nil); return err },
		"no bot":     func() error { _, err := c.Stream(ctx, &coze.ChatRequest{UserID: "u"}); return err },
		"no user":    func() error { _, err := c.CreateChat(ctx, &coze.ChatRequest{BotID: "b"}); return err },
		"no chat":    func() error { _, err := c.RetrieveChat(ctx, "1", ""); return err },
		"no message": func() error { _, err := c.CreateMessage(ctx, "1", nil); return err },
		"no thread":  func() error { _, err := c.ListMessages(ctx, "", nil); return err },
	}
	for _, base := range []string{"api.coze.cn", "ftp://api.coze.cn", "https://", "https://u:secret@api.coze.cn", "https://api.coze.cn?x=1", "http://[::1"} {
		all["base "+base] = func() error {
			_, err := (&coze.Client{BaseURL: base, Auth: c.Auth, HTTP: c.HTTP}).CreateConversation(ctx, nil)
			return err
		}
	}
	for name, f := range all {
		err := f()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if e := typed(t, err); e.Class != coze.ClassInvalid || e.Zone != coze.ZoneRefused || strings.Contains(e.Error(), "secret") {
			t.Errorf("%s: %v (%s, %s)", name, e, e.Class, e.Zone)
		}
	}
	broken := errors.New("vault is sealed")
	for name, auth := range map[string]coze.TokenSource{
		"none": nil, "empty": coze.StaticToken(" \n"), "failing": source{broken}, "two lines": coze.StaticToken("pat_a\r\nX: y"),
	} {
		_, err := (&coze.Client{Auth: auth, HTTP: c.HTTP}).Stream(ctx, question())
		e := typed(t, err)
		check(t, e, coze.ClassAuth, coze.ZoneRefused, false, 0)
		if strings.Contains(e.Error(), "pat_a") || (name == "failing" && !errors.Is(err, broken)) {
			t.Errorf("%s: %v", name, e)
		}
	}
}

type source struct{ err error }

func (s source) Token(context.Context) (string, error) { return "", s.err }
