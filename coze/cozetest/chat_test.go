package cozetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

func TestStreamIsCozesToTheByte(t *testing.T) {
	srv := cozetest.New(t, func(c *cozetest.Config) { c.Deltas = 3 })
	c := callerOf(t, srv)
	conv := c.conversation()
	events := c.ask(conv, "1+1 是多少？", true).events(t)
	want := []string{
		"chat.created", "chat.in_progress", "message.delta", "message.delta", "message.delta", "message.completed",
		"message.completed", "message.completed", "message.completed", "message.completed", "chat.completed", "done",
	}
	if got := names(events); !slices.Equal(got, want) {
		t.Fatalf("events\n%q, want\n%q", got, want)
	}
	created := events[0].chat(t)
	if created.Status != "created" || created.ConversationID != conv || created.BotID != "7379" || created.Usage.Tokens != 0 {
		t.Errorf("created: %+v", created)
	}
	if len(created.ID) != 19 || len(conv) != 19 {
		t.Errorf("ids %q and %q, want 19 digits", created.ID, conv)
	}
	if created.MetaData["task"] != "t1" {
		t.Errorf("meta_data %v", created.MetaData)
	}
	var text strings.Builder
	for _, e := range events[2:5] {
		m := e.message(t)
		if m.Role != "assistant" || m.Type != "answer" || m.ContentType != "text" || m.ChatID != created.ID {
			t.Errorf("delta: %+v", m)
		}
		text.WriteString(m.Content)
	}
	answer := events[5].message(t)
	if want := `Mock answer to "1+1 是多少？".`; answer.Content != want || text.String() != want || answer.ID != events[2].message(t).ID {
		t.Errorf("answer %q, deltas %q, want %q", answer.Content, text.String(), want)
	}
	verbose := events[6].message(t)
	var note struct{ MsgType, Data string }
	if err := json.Unmarshal([]byte(strings.Replace(verbose.Content, "msg_type", "msgtype", 1)), &note); err != nil || note.MsgType != "generate_answer_finish" || verbose.Type != "verbose" {
		t.Errorf("verbose %+v: %v", verbose, err)
	}
	for _, e := range events[7:10] {
		if e.message(t).Type != "follow_up" {
			t.Errorf("follow_up: %s", e.Data)
		}
	}
	end := events[10].chat(t)
	if end.Status != "completed" || end.CompletedAt == 0 || end.Usage.Input != 2 || end.Usage.Output != 6 || end.Usage.Tokens != 8 {
		t.Errorf("completed: %+v", end)
	}
	if events[11].Data != `"[DONE]"` {
		t.Errorf("done: %s", events[11].Data)
	}
}

func TestCreateThenPoll(t *testing.T) {
	c := callerOf(t, cozetest.New(t))
	var chat, again chatData
	c.ask("", "hello", false).data(t, &chat)
	if chat.Status != "in_progress" {
		t.Errorf("created with status %q", chat.Status)
	}
	for _, method := range []string{"GET", "POST"} {
		c.call(method, "/v3/chat/retrieve?conversation_id="+chat.ConversationID+"&chat_id="+chat.ID, "").data(t, &again)
		if again.Status != "completed" || again.ID != chat.ID || again.Usage.Tokens == 0 || again.MetaData["task"] != "t1" {
			t.Errorf("%s: %+v", method, again)
		}
		var list []messageData
		c.call(method, "/v3/chat/message/list?conversation_id="+chat.ConversationID+"&chat_id="+chat.ID, "").data(t, &list)
		var kinds []string
		for _, m := range list {
			kinds = append(kinds, m.Type)
		}
		if want := []string{"verbose", "answer", "follow_up", "follow_up", "follow_up"}; !slices.Equal(kinds, want) {
			t.Errorf("%s: types %q, want %q", method, kinds, want)
		}
	}
}

func TestContextShows(t *testing.T) {
	c := callerOf(t, cozetest.New(t))
	conv := c.conversation()
	c.ask(conv, "first [[mock:answers=1]]", true)
	events := c.ask(conv, "second", true).events(t)
	i := slices.IndexFunc(events, func(e event) bool { return e.Name == "conversation.message.completed" })
	if got, want := events[i].message(t).Content, `Mock answer to "second" (turn 2, after "first").`; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
}

func TestAnswerFunc(t *testing.T) {
	c := callerOf(t, cozetest.New(t, func(c *cozetest.Config) {
		c.Answer = func(q string) string { return strings.ToUpper(q) }
		c.FollowUps = -1
	}))
	body := c.ask("", "abc [[mock:deltas=1]]", true).Body
	if !strings.Contains(body, `"content":"ABC"`) || strings.Contains(body, "follow_up") {
		t.Errorf("stream: %s", body)
	}
}

func TestQuestionOnItsOwn(t *testing.T) {
	c := callerOf(t, cozetest.New(t))
	conv := c.conversation()
	const body = `{"bot_id":"1","user_id":"u","stream":true}`
	if code, _ := c.call("POST", "/v3/chat?conversation_id="+conv, body).envelope(t); code != 4000 {
		t.Errorf("no message at all: code %d, want 4000", code)
	}
	var m messageData
	c.call("POST", "/v1/conversation/message/create?conversation_id="+conv,
		`{"role":"user","content":"[{\"type\":\"text\",\"text\":\"from before\"},{\"type\":\"image\",\"file_id\":\"1\"}]","content_type":"object_string","meta_data":{"a":"b"}}`).data(t, &m)
	if m.BotID != "" || m.ChatID != "" || m.Type != "" || m.UpdatedAt == "" || m.CreatedAt == 0 || m.MetaData["a"] != "b" {
		t.Errorf("message: %+v", m)
	}
	if got := c.call("POST", "/v3/chat?conversation_id="+conv, body).Body; !strings.Contains(got, "from before") {
		t.Errorf("stream: %s", got)
	}
}

func TestChatRefusals(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"role":"user","content":"x","content_type":"text"},`, 101), ",")
	long := strings.Repeat("字", 513)
	var pairs []string
	for i := range 17 {
		pairs = append(pairs, fmt.Sprintf(`"k%d":"v"`, i))
	}
	msg := `"additional_messages":[{"role":"user","content":"q","content_type":"text"}]`
	for name, tc := range map[string]struct {
		token, query, body string
		code               int
	}{
		"no token":             {"", "", `{}`, 4101},
		"not json":             {"pat_good", "", `{`, 4000},
		"no bot":               {"pat_good", "", `{"user_id":"u",` + msg + `}`, 4000},
		"no user":              {"pat_good", "", `{"bot_id":"b1",` + msg + `}`, 4000},
		"user is a number":     {"pat_good", "", `{"bot_id":"b1","user_id":7,` + msg + `}`, 4000},
		"content not string":   {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"user","content":{},"content_type":"text"}]}`, 4000},
		"bad role":             {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"system","content":"x","content_type":"text"}]}`, 4000},
		"bad type":             {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"user","content":"x","content_type":"card"}]}`, 4000},
		"assistant asks":       {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"assistant","type":"question","content":"x","content_type":"text"}]}`, 4000},
		"object not json":      {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"user","content":"x","content_type":"object_string"}]}`, 4000},
		"empty content":        {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"user","content":"","content_type":"text"}]}`, 4000},
		"bad token, no bot":    {"pat_bad", "", `{"bot_id":"b9","user_id":"u",` + msg + `}`, 4200},
		"bad token":            {"pat_bad", "", `{"bot_id":"b1","user_id":"u",` + msg + `}`, 4101},
		"unknown bot":          {"pat_good", "", `{"bot_id":"b9","user_id":"u",` + msg + `}`, 4200},
		"meta value too long":  {"pat_good", "", `{"bot_id":"b1","user_id":"u",` + msg + `,"meta_data":{"k":"` + long + `"}}`, 4003},
		"meta key too long":    {"pat_good", "", `{"bot_id":"b1","user_id":"u",` + msg + `,"meta_data":{"` + long[:65*3] + `":"v"}}`, 4003},
		"meta pairs":           {"pat_good", "", `{"bot_id":"b1","user_id":"u",` + msg + `,"meta_data":{` + strings.Join(pairs, ",") + `}}`, 4003},
		"101 messages":         {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[` + many + `]}`, 4004},
		"not saved, no stream": {"pat_good", "", `{"bot_id":"b1","user_id":"u",` + msg + `,"auto_save_history":false}`, 4007},
		"no conversation":      {"pat_good", "?conversation_id=1", `{"bot_id":"b1","user_id":"u",` + msg + `}`, 4002},
		"open directive":       {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"user","content":"[[mock:cut","content_type":"text"}]}`, 4000},
		"wrong directive":      {"pat_good", "", `{"bot_id":"b1","user_id":"u","additional_messages":[{"role":"user","content":"[[mock:cat]]","content_type":"text"}]}`, 4000},
	} {
		t.Run(name, func(t *testing.T) {
			srv := cozetest.New(t, func(c *cozetest.Config) {
				c.Tokens, c.Bots = []string{"pat_good"}, []string{"b1"}
			})
			c := &caller{t, srv, tc.token}
			r := c.call("POST", "/v3/chat"+tc.query, tc.body)
			if code, _ := r.envelope(t); code != tc.code || r.Status != http.StatusOK {
				t.Errorf("status %d, code %d, want 200, %d: %s", r.Status, code, tc.code, r.Body)
			}
			if srv.Accepted() != 0 || srv.Requests()[0].Code != tc.code {
				t.Errorf("accepted %d, log %+v", srv.Accepted(), srv.Requests())
			}
			if strings.Contains(r.Body, "pat_") {
				t.Errorf("the token is in the reply: %s", r.Body)
			}
		})
	}
}

func TestOtherCallsRefuse(t *testing.T) {
	srv := cozetest.New(t, func(c *cozetest.Config) { c.Tokens = []string{"pat_good"} })
	good, bad := &caller{t, srv, "pat_good"}, &caller{t, srv, "pat_bad"}
	conv := good.conversation()
	for name, tc := range map[string]struct {
		c                  *caller
		method, path, body string
		status, code       int
	}{
		"token, create":         {bad, "POST", "/v1/conversation/create", "{}", 401, 700012006},
		"token, retrieve":       {bad, "GET", "/v3/chat/retrieve?conversation_id=1&chat_id=1", "", 401, 700012006},
		"token missing":         {&caller{t, srv, ""}, "GET", "/v1/conversation/retrieve?conversation_id=1", "", 401, 700012006},
		"unknown path":          {good, "GET", "/v9/nothing", "", 404, 4000},
		"wrong method":          {good, "GET", "/v3/chat", "", 404, 4000},
		"unknown conversation":  {good, "GET", "/v1/conversation/retrieve?conversation_id=1", "", 400, 4002},
		"chat, no conversation": {good, "GET", "/v3/chat/retrieve?conversation_id=1&chat_id=1", "", 400, 4002},
		"unknown chat":          {good, "GET", "/v3/chat/retrieve?conversation_id=" + conv + "&chat_id=1", "", 400, 4001},
		"messages of no chat":   {good, "GET", "/v3/chat/message/list?conversation_id=" + conv + "&chat_id=1", "", 400, 4001},
		"cancel no chat":        {good, "POST", "/v3/chat/cancel", `{"conversation_id":"` + conv + `","chat_id":"1"}`, 400, 4001},
		"cancel not json":       {good, "POST", "/v3/chat/cancel", `[]`, 400, 4000},
		"name too long":         {good, "POST", "/v1/conversation/create", `{"name":"` + strings.Repeat("n", 101) + `"}`, 400, 4000},
		"message, no body":      {good, "POST", "/v1/conversation/message/create?conversation_id=" + conv, "", 400, 4000},
		"message, no conv":      {good, "POST", "/v1/conversation/message/create?conversation_id=1", `{"role":"user","content":"x","content_type":"text"}`, 400, 4002},
		"history, no conv":      {good, "POST", "/v1/conversation/message/list?conversation_id=1", "{}", 400, 4002},
		"history, limit":        {good, "POST", "/v1/conversation/message/list?conversation_id=" + conv, `{"limit":51}`, 400, 4000},
		"history, order":        {good, "POST", "/v1/conversation/message/list?conversation_id=" + conv, `{"order":"up"}`, 400, 4000},
		"history, both ends":    {good, "POST", "/v1/conversation/message/list?conversation_id=" + conv, `{"before_id":"1","after_id":"1"}`, 400, 4000},
	} {
		t.Run(name, func(t *testing.T) {
			r := tc.c.call(tc.method, tc.path, tc.body)
			if code, _ := r.envelope(t); r.Status != tc.status || code != tc.code {
				t.Errorf("status %d, code %d, want %d, %d: %s", r.Status, code, tc.status, tc.code, r.Body)
			}
		})
	}
	srv.SetTokens("pat_bad")
	if r := bad.call("POST", "/v1/conversation/create", ""); r.Status != 200 {
		t.Errorf("after SetTokens: %s", r.Body)
	}
}

func TestBodyOver15MB(t *testing.T) {
	c := callerOf(t, cozetest.New(t))
	r := c.ask("", strings.Repeat("x", 16<<20), true)
	if r.Err != nil {
		t.Skip("the connection broke while the body was being sent, which is legal:", r.Err)
	}
	if code, _ := r.envelope(t); code != 4000 || r.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
}

func TestBenefits(t *testing.T) {
	c := callerOf(t, cozetest.New(t, func(c *cozetest.Config) { c.Rate = 100 }))
	var data struct {
		Basic struct {
			Level string `json:"user_level"`
		} `json:"basic_info"`
		Info []struct {
			Type      string `json:"benefit_type"`
			Effective struct {
				Item struct{ Total int } `json:"item_info"`
			}
		} `json:"benefit_info"`
	}
	c.call("GET", "/v1/commerce/benefit/benefits/get?benefit_type_list=api_run_qps&resource_id=chat", "").data(t, &data)
	if data.Basic.Level == "" || len(data.Info) != 1 || data.Info[0].Type != "api_run_qps" || data.Info[0].Effective.Item.Total != 100 {
		t.Errorf("benefits: %+v", data)
	}
}
