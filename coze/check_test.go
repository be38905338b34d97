package coze_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

// replies answers by the path.
func replies(m map[string]roundTrip) roundTrip {
	return func(r *http.Request) (*http.Response, error) { return m[r.URL.Path](r) }
}

func TestCheck(t *testing.T) {
	const thread, chat, post = "/v1/conversation/retrieve", "/v3/chat/retrieve", "/v3/chat"
	unasked := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("asked without need") })
	unsaid := reply(200, js, refusal(4000))
	one := func(rt roundTrip) roundTrip {
		return replies(map[string]roundTrip{thread: rt, chat: unasked, post: unsaid})
	}
	posts := func(rt roundTrip) roundTrip {
		return replies(map[string]roundTrip{thread: reply(400, js, refusal(4002)), chat: unasked, post: rt})
	}
	denied := reply(200, js, refusal(4101))
	const other = "https://api.coze.com"
	for name, tt := range map[string]struct {
		rt    roundTrip
		class coze.Class // "" = the token is accepted
		hint  string
	}{
		"4002":                 {one(reply(400, js, refusal(4002))), "", ""},
		"4200":                 {one(reply(404, js, refusal(4200))), "", ""},
		"4200 in a 200":        {one(reply(200, js, refusal(4200))), "", ""},
		"4000":                 {one(reply(400, js, refusal(4000))), "", ""},
		"there it is":          {one(reply(200, js, `{"code":0,"data":{"id":"1"}}`)), "", ""},
		"quota":                {one(reply(200, js, refusal(4028))), "", ""},
		"700012006":            {one(reply(401, js, refusal(700012006))), coze.ClassAuth, other},
		"4100":                 {one(reply(401, js, refusal(4100))), coze.ClassAuth, other},
		"4100 in a 200":        {one(reply(200, js, refusal(4100))), coze.ClassAuth, other},
		"401 alone":            {one(reply(401, "text/html", "<html>")), coze.ClassAuth, other},
		"4101 with 401":        {one(reply(401, js, refusal(4101))), coze.ClassAuth, other},
		"4101 to both":         {replies(map[string]roundTrip{thread: denied, chat: reply(403, js, refusal(4101))}), coze.ClassAuth, other},
		"4101, then a good no": {replies(map[string]roundTrip{thread: denied, chat: reply(400, js, refusal(4001)), post: unsaid}), "", ""},
		"4101, then a bad one": {replies(map[string]roundTrip{thread: denied, chat: reply(401, js, refusal(700012006))}), coze.ClassAuth, other},
		"4101, then a storm":   {replies(map[string]roundTrip{thread: denied, chat: reply(502, "text/html", "<html>")}), coze.ClassTransient, ""},
		"risk control":         {one(reply(200, js, refusal(4102))), coze.ClassAuth, "half an hour"},
		"no path of Coze":      {one(reply(404, js, refusal(4000))), coze.ClassEndpoint, "--coze-base"},
		"no Coze at all":       {one(reply(404, "text/html", "<html>")), coze.ClassEndpoint, "--coze-base"},
		"a wall":               {one(reply(403, "text/html", "<html>")), coze.ClassEndpoint, "--coze-base"},
		"a page to log in":     {one(reply(200, "text/html", "<html>")), coze.ClassEndpoint, "--coze-base"},
		"another API":          {one(reply(200, js, `{"status":"ok"}`)), coze.ClassEndpoint, "--coze-base"},
		"a proxy":              {one(reply(407, "text/html", "<html>")), coze.ClassEndpoint, "HTTPS_PROXY"},
		"no POST":              {posts(reply(405, "text/html", "<html>")), coze.ClassEndpoint, "--coze-base"},
		"a POST elsewhere":     {posts(reply(307, "", "")), coze.ClassEndpoint, "--coze-base"},
		"a wall for POST":      {posts(reply(403, "text/html", "<html>")), coze.ClassEndpoint, "--coze-base"},
		"a POST in trouble":    {posts(reply(502, "text/html", "<html>")), "", ""},
		"a POST refused":       {posts(reply(200, js, refusal(4200))), "", ""},
		"rate":                 {one(reply(429, "", "")), coze.ClassRate, ""},
		"gateway":              {one(reply(502, "text/html", "<html>")), coze.ClassTransient, ""},
		"no way":               {one(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }), coze.ClassTransient, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := clientOf(tt.rt).Check(t.Context())
			if tt.class == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("the token is accepted")
			}
			if e := typed(t, err); e.Class != tt.class || !strings.Contains(e.Hint(), tt.hint) {
				t.Errorf("%v (%s), hint %q", e, e.Class, e.Hint())
			}
		})
	}
}

func TestCheckNamesTheOtherRegion(t *testing.T) {
	for base, want := range map[string]string{
		"": coze.BaseURLCom, coze.BaseURLCom: coze.DefaultBaseURL, coze.BaseURLCom + "/": coze.DefaultBaseURL,
		"https://proxy.example": "api.coze.cn or api.coze.com",
	} {
		c := clientOf(reply(401, js, `{"code":4100,"msg":"no"}`))
		c.BaseURL = base
		e := typed(t, c.Check(t.Context()))
		if !strings.Contains(e.Hint(), want) || strings.Contains(e.Error(), "pat_secret") {
			t.Errorf("%q: %v: %q", base, e, e.Hint())
		}
	}
	own := (&coze.Error{Op: "oauth2/token", Status: 401, Class: coze.ClassAuth, Message: "invalid_client"}).WithHint("check the app")
	if e := typed(t, (&coze.Client{Auth: source{own}}).Check(t.Context())); e.Hint() != "check the app" {
		t.Errorf("an app that is refused: %q", e.Hint())
	}
	if e := typed(t, (&coze.Client{Auth: coze.StaticToken("")}).Check(t.Context())); e.Class != coze.ClassAuth {
		t.Errorf("no token: %v", e)
	}
}
