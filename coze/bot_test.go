package coze_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
)

func TestPublishedBot(t *testing.T) {
	const old, next = "/v1/bot/get_online_info", "/v1/bots/b/1"
	gone := reply(404, js, refusal(4000))
	unasked := roundTrip(func(r *http.Request) (*http.Response, error) {
		t.Errorf("asked %s without need", r.URL)
		return nil, http.ErrNotSupported
	})
	for name, tt := range map[string]struct {
		old, next roundTrip
		want      coze.Bot
		class     coze.Class
		code      int
	}{
		"published": {
			reply(200, js, `{"code":0,"data":{"bot_id":7342866812345678901,"name":"News","version":"171","model_info":{"model_name":"m"},"prompt_info":{"prompt":"secret"}}}`), unasked,
			coze.Bot{ID: "7342866812345678901", Name: "News", Version: "171", Model: "m", Callable: true}, "", 0,
		},
		"of another form": {reply(200, js, `{"code":0,"data":{"name":null,"model_info":[]}}`), unasked, coze.Bot{ID: "b/1", Callable: true}, "", 0},
		"no such call":    {gone, reply(200, js, `{"code":0,"data":{"bot_id":"1","name":"News"}}`), coze.Bot{ID: "1", Name: "News"}, "", 0},
		"neither":         {gone, gone, coze.Bot{}, coze.ClassEndpoint, 4000},
		"not published":   {reply(400, js, refusal(4015)), unasked, coze.Bot{}, coze.ClassPermanent, 4015},
		"may not ask":     {reply(403, js, refusal(4101)), unasked, coze.Bot{}, coze.ClassAuth, 4101},
	} {
		t.Run(name, func(t *testing.T) {
			c := clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
				switch got := r.URL.Path + "?" + r.URL.RawQuery; got {
				case old + "?bot_id=b%2F1":
					return tt.old(r)
				case next + "?is_published=true":
					return tt.next(r)
				default:
					t.Errorf("asked %s", got)
					return unasked(r)
				}
			}))
			bot, err := c.PublishedBot(t.Context(), "b/1")
			if tt.class != "" {
				if e := typed(t, err); bot != nil || e.Class != tt.class || e.Code != tt.code {
					t.Errorf("%+v, %v", bot, err)
				}
				return
			}
			if err != nil || *bot != tt.want {
				t.Errorf("%+v, %v, want %+v", bot, err, tt.want)
			}
		})
	}
	if _, err := clientOf(unasked).PublishedBot(t.Context(), ""); typed(t, err).Class != coze.ClassInvalid {
		t.Errorf("without an id: %v", err)
	}
}

// What the fake tells of an account and its bots is what the client reads.
func TestAccountOfTheFake(t *testing.T) {
	fake := cozetest.New(t, cozetest.With(cozetest.Config{Bots: []string{"b"}, Rate: 100}))
	c := fake.Client()
	ctx := t.Context()
	if bot, err := c.PublishedBot(ctx, "b"); err != nil || bot.ID != "b" || !bot.Callable || bot.Name == "" || bot.Model == "" {
		t.Errorf("bot: %+v, %v", bot, err)
	}
	_, err := c.PublishedBot(ctx, "c")
	if e := typed(t, err); e.Code != 4200 || e.Scope != coze.ScopeBot {
		t.Errorf("a bot that there is not: %v", err)
	}
	if me, err := c.Me(ctx); err != nil || me.ID == "" || me.Name == "" {
		t.Errorf("me: %+v, %v", me, err)
	}
	if plan, err := c.Plan(ctx); err != nil || plan != (coze.Plan{Level: "free", ChatRate: 100}) {
		t.Errorf("plan: %+v, %v", plan, err)
	}
	for on, ask := range map[string]func() error{
		"bot":     func() error { _, err := c.PublishedBot(ctx, "b"); return err },
		"user":    func() error { _, err := c.Me(ctx); return err },
		"benefit": func() error { _, err := c.Plan(ctx); return err },
	} {
		if err := fake.SetRules(cozetest.Rule{On: on, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4101}}); err != nil {
			t.Fatal(err)
		}
		if e := typed(t, ask()); e.Code != 4101 || e.Class != coze.ClassAuth || strings.Contains(e.Error(), "pat_") {
			t.Errorf("%s refused: %v", on, e)
		}
	}
	stranger := fake.Client()
	stranger.Auth = coze.StaticToken("pat_other")
	fake.SetTokens("pat_one")
	if _, err := stranger.Me(ctx); typed(t, err).Class != coze.ClassAuth {
		t.Errorf("of a bad token: %v", err)
	}
}

func TestUser(t *testing.T) {
	for body, want := range map[string]coze.User{
		`{"user_id":"1","user_name":"ann","nick_name":"Ann"}`: {ID: "1", Name: "Ann"},
		`{"user_id":1,"user_name":"ann","nick_name":null}`:    {ID: "1", Name: "ann"},
		`{}`: {},
	} {
		me, err := clientOf(reply(200, js, `{"code":0,"data":`+body+`}`)).Me(t.Context())
		if err != nil || *me != want {
			t.Errorf("%s: %+v, %v", body, me, err)
		}
	}
}
