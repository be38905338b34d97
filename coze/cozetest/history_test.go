package cozetest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// page is the reply of a conversation's message list.
type page struct {
	Data    []messageData
	FirstID string `json:"first_id"`
	LastID  string `json:"last_id"`
	HasMore bool   `json:"has_more"`
}

func (c *caller) history(conversation, body string) page {
	c.t.Helper()
	r := c.call("POST", "/v1/conversation/message/list?conversation_id="+conversation, body)
	if code, _ := r.envelope(c.t); code != 0 {
		c.t.Fatalf("history: %s", r.Body)
	}
	return decoded[page](c.t, r.Body)
}

func (p page) contents() string {
	var out []string
	for _, m := range p.Data {
		out = append(out, m.Content)
	}
	return strings.Join(out, " ")
}

func TestHistoryPages(t *testing.T) {
	c := callerOf(t, cozetest.New(t, func(c *cozetest.Config) { c.Answer = strings.ToUpper }))
	conv := c.conversation()
	chats := map[string]string{}
	for _, q := range []string{"a", "b", "c"} {
		chats[q] = c.ask(conv, q, true).events(t)[0].chat(t).ID
	}
	for name, tc := range map[string]struct {
		body, want string
		more       bool
	}{
		"newest first":  {``, "C c B b A a", false},
		"oldest first":  {`{"order":"asc"}`, "a A b B c C", false},
		"limit":         {`{"limit":2}`, "C c", true},
		"exactly all":   {`{"limit":6}`, "C c B b A a", false},
		"one chat's":    {`{"chat_id":"` + chats["b"] + `"}`, "B b", false},
		"after unknown": {`{"after_id":"1"}`, "", false},
	} {
		p := c.history(conv, tc.body)
		if p.contents() != tc.want || p.HasMore != tc.more {
			t.Errorf("%s: %q, more %v; want %q, %v", name, p.contents(), p.HasMore, tc.want, tc.more)
		}
		if len(p.Data) > 0 && (p.FirstID != p.Data[0].ID || p.LastID != p.Data[len(p.Data)-1].ID) {
			t.Errorf("%s: ends %s and %s", name, p.FirstID, p.LastID)
		}
	}
	p := c.history(conv, `{"limit":2}`)
	next := c.history(conv, `{"limit":3,"after_id":"`+p.LastID+`"}`)
	if next.contents() != "B b A" || !next.HasMore {
		t.Errorf("next page %q, more %v", next.contents(), next.HasMore)
	}
	back := c.history(conv, `{"limit":1,"before_id":"`+next.FirstID+`"}`)
	if back.contents() != "c" || !back.HasMore {
		t.Errorf("page before %q, more %v", back.contents(), back.HasMore)
	}
	all := c.history(conv, `{"include_middle_message":true}`)
	if len(all.Data) != 3*6 {
		t.Errorf("with middle messages: %d, want 18", len(all.Data))
	}
}

func TestHistoryTellsWhoAsked(t *testing.T) {
	// A question comes back with its chat's id and its own meta_data: how a
	// client finds out whether a POST without a reply was accepted.
	c := callerOf(t, cozetest.New(t))
	conv := c.conversation()
	chat := c.ask(conv, "q", true).events(t)[0].chat(t).ID
	q := c.history(conv, `{"order":"asc"}`).Data[0]
	if q.ChatID != chat || q.MetaData["k"] != "v" || q.Role != "user" || q.Type != "question" || q.BotID != "7379" {
		t.Errorf("question %+v", q)
	}
}

func TestConversationIsKept(t *testing.T) {
	c := callerOf(t, cozetest.New(t))
	type conversation struct {
		ID, Name  string
		CreatedAt int64             `json:"created_at"`
		MetaData  map[string]string `json:"meta_data"`
		Section   string            `json:"last_section_id"`
	}
	var made, again conversation
	c.call("POST", "/v1/conversation/create", `{"name":"n","bot_id":"7","meta_data":{"u":"1"},
		"messages":[{"role":"user","content":"x","content_type":"text"},{"role":"assistant","content":"y","content_type":"text"}]}`).data(t, &made)
	c.call("GET", "/v1/conversation/retrieve?conversation_id="+made.ID, "").data(t, &again)
	if fmt.Sprint(made) != fmt.Sprint(again) || made.Name != "n" || made.MetaData["u"] != "1" || made.CreatedAt == 0 || made.Section == "" {
		t.Errorf("made %+v, found %+v", made, again)
	}
	if got := c.history(made.ID, `{"order":"asc"}`).contents(); got != "x y" {
		t.Errorf("messages %q", got)
	}
	many := strings.Repeat(`{"role":"user","content":"x","content_type":"text"},`, 17)
	if code, _ := c.call("POST", "/v1/conversation/create", `{"messages":[`+many[:len(many)-1]+`]}`).envelope(t); code != 4004 {
		t.Errorf("17 messages: code %d", code)
	}
}

func TestIDsFollowTheSeed(t *testing.T) {
	ids := map[string]bool{}
	for _, seed := range []uint64{0, 1, 99_999} {
		var twice []string
		for range 2 {
			c := callerOf(t, cozetest.New(t, func(c *cozetest.Config) { c.Seed = seed }))
			twice = append(twice, c.conversation())
		}
		if twice[0] != twice[1] || ids[twice[0]] {
			t.Errorf("seed %d: %q, other seeds' %v", seed, twice, ids)
		}
		ids[twice[0]] = true
	}
}
