package cozetest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// one starts a server with a single rule that meets every chat.
func one(t *testing.T, ft cozetest.Fault) *caller {
	return callerOf(t, cozetest.New(t, cozetest.WithRules(cozetest.Rule{Fault: ft})))
}

func TestRefusedChats(t *testing.T) {
	for name, tc := range map[string]struct {
		fault  cozetest.Fault
		status int
		code   int // 0: no envelope
		retry  string
	}{
		"refuse":        {cozetest.Fault{Kind: cozetest.Refuse, Code: 4028}, 200, 4028, ""},
		"refuse status": {cozetest.Fault{Kind: cozetest.Refuse, Code: 4100, Status: 401, Msg: "authentication is invalid"}, 401, 4100, ""},
		"expired":       {cozetest.Fault{Kind: cozetest.Expired}, 200, 4002, ""},
		"expired 4200":  {cozetest.Fault{Kind: cozetest.Expired, Code: 4200, Status: 404}, 404, 4200, ""},
		"limit":         {cozetest.Fault{Kind: cozetest.Limit}, 429, 4013, ""},
		"limit 7 s":     {cozetest.Fault{Kind: cozetest.Limit, For: 7 * time.Second, Code: 4020}, 429, 4020, "7"},
		"limit 1.2 s":   {cozetest.Fault{Kind: cozetest.Limit, For: 1200 * time.Millisecond}, 429, 4013, "2"},
		"limit to date": {cozetest.Fault{Kind: cozetest.Limit, For: time.Minute, Date: true}, 429, 4013, "Thu, 02 Jan 2031 03:05:05 GMT"},
		"error, polled": {cozetest.Fault{Kind: cozetest.Error, Code: 4009}, 200, 4009, ""},
		"gateway":       {cozetest.Fault{Kind: cozetest.Gateway}, 502, 0, ""},
		"gateway 504":   {cozetest.Fault{Kind: cozetest.Gateway, Status: 504}, 504, 0, ""},
	} {
		for _, stream := range []bool{false, true} {
			if stream && tc.fault.Kind == cozetest.Error {
				continue // an event there: TestBrokenStreams
			}
			t.Run(name, func(t *testing.T) {
				srv := cozetest.New(t, cozetest.WithRules(cozetest.Rule{Fault: tc.fault}), func(c *cozetest.Config) {
					c.Now = func() time.Time { return time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC) }
				})
				c := callerOf(t, srv)
				r := c.ask(c.conversation(), "q", stream)
				if r.Status != tc.status || r.Header.Get("Retry-After") != tc.retry {
					t.Errorf("status %d, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
				}
				if tc.code != 0 {
					if code, _ := r.envelope(t); code != tc.code {
						t.Errorf("code %d, want %d", code, tc.code)
					}
				} else if r.Header.Get("Content-Type") != "text/html" || !strings.HasPrefix(r.Body, "<html>") {
					t.Errorf("no page of a proxy: %s", r.Body)
				}
				if last := srv.Requests()[1]; srv.Accepted() != 0 || last.Fault != tc.fault.Kind || last.Code != tc.code || last.Status != tc.status {
					t.Errorf("accepted %d, log %+v", srv.Accepted(), last)
				}
			})
		}
	}
}

func TestExpiredConversationIsGone(t *testing.T) {
	c := callerOf(t, cozetest.New(t))
	conv := c.conversation()
	c.ask(conv, "q [[mock:expired times=1]]", true)
	if code, _ := c.ask(conv, "q", true).envelope(t); code != 4002 {
		t.Errorf("code %d, want 4002", code)
	}
}

func TestHangup(t *testing.T) {
	for created, accepted := range map[bool]int{false: 0, true: 1} {
		c := one(t, cozetest.Fault{Kind: cozetest.Hangup, Created: created})
		for i, stream := range []bool{false, true} {
			if r := c.ask("", "q", stream); r.Err == nil {
				t.Errorf("a reply: %d %s", r.Status, r.Body)
			}
			if got := c.srv.Accepted(); got != accepted*(i+1) {
				t.Errorf("created %v: %d chats", created, got)
			}
		}
		if c.srv.Running() != 0 {
			t.Errorf("%d chats still run", c.srv.Running())
		}
	}
}

func TestLateGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := callerOf(t, cozetest.NewInMemory(t, cozetest.WithRules(
			cozetest.Rule{Fault: cozetest.Fault{Kind: cozetest.Gateway, Status: 504, For: time.Minute}})))
		start := time.Now()
		if r := c.ask("", "q", true); r.Status != 504 || time.Since(start) != time.Minute {
			t.Errorf("status %d after %v", r.Status, time.Since(start))
		}
	})
}

func TestGatewayLeavesAChat(t *testing.T) {
	c := one(t, cozetest.Fault{Kind: cozetest.Gateway, Status: 504, Created: true})
	if r := c.ask("", "q", true); r.Status != 504 {
		t.Errorf("status %d", r.Status)
	}
	last := c.srv.Requests()[0]
	var chat chatData
	c.retrieve(last.ConversationID, last.ChatID).data(t, &chat)
	if chat.Status != "completed" || c.srv.Accepted() != 1 {
		t.Errorf("chat %+v", chat)
	}
}

// TestBrokenStreams covers the streams whose form stays Coze's but whose course
// does not. An entry of 12 events is whole.
func TestBrokenStreams(t *testing.T) {
	whole := []string{"chat.created", "chat.in_progress", "message.delta", "message.delta", "message.delta", "message.completed",
		"message.completed", "message.completed", "message.completed", "message.completed", "chat.completed", "done"}
	for name, tc := range map[string]struct {
		fault  cozetest.Fault
		want   []string
		status string // of the chat behind, "" for none
		code   int    // its last_error
	}{
		"none":             {cozetest.Fault{}, whole, "completed", 0},
		"cut at 0":         {cozetest.Fault{Kind: cozetest.Cut}, nil, "completed", 0},
		"cut at 4":         {cozetest.Fault{Kind: cozetest.Cut, After: 4}, whole[:4], "completed", 0},
		"cut before done":  {cozetest.Fault{Kind: cozetest.Cut, After: 11}, whole[:11], "completed", 0},
		"cut past the end": {cozetest.Fault{Kind: cozetest.Cut, After: 12}, whole, "completed", 0},
		"cut, fails":       {cozetest.Fault{Kind: cozetest.Cut, After: 3, Then: cozetest.Failed, Code: 4028}, whole[:3], "failed", 4028},
		"cut, canceled":    {cozetest.Fault{Kind: cozetest.Cut, After: 3, Then: cozetest.Canceled}, whole[:3], "canceled", 0},
		"cut, runs on":     {cozetest.Fault{Kind: cozetest.Cut, After: 3, Then: cozetest.Running}, whole[:3], "in_progress", 0},
		"error only":       {cozetest.Fault{Kind: cozetest.Error, Code: 4009}, []string{"error"}, "", 0},
		"error without":    {cozetest.Fault{Kind: cozetest.Error}, []string{"error"}, "", 0},
		"error later":      {cozetest.Fault{Kind: cozetest.Error, Code: 702112101, After: 3}, append(slices.Clone(whole[:3]), "error"), "failed", 702112101},
		"error, then done": {cozetest.Fault{Kind: cozetest.Error, Code: 5000, After: 2, Then: cozetest.Completed}, []string{"chat.created", "chat.in_progress", "error", "chat.completed", "done"}, "completed", 0},
		"fail":             {cozetest.Fault{Kind: cozetest.Fail, Code: 702112103}, []string{"chat.created", "chat.in_progress", "chat.failed", "done"}, "failed", 702112103},
		"fail late":        {cozetest.Fault{Kind: cozetest.Fail, After: 4}, append(slices.Clone(whole[:4]), "chat.failed", "done"), "failed", 5000},
		"fail flat":        {cozetest.Fault{Kind: cozetest.FailFlat, Code: 720702204}, []string{"chat.created", "chat.in_progress", "chat.failed", "done"}, "failed", 720702204},
		"ends as failed":   {cozetest.Fault{Then: cozetest.Failed, Code: 4014}, append(slices.Clone(whole[:10]), "chat.failed", "done"), "failed", 4014},
		"ends as canceled": {cozetest.Fault{Then: cozetest.Canceled}, append(slices.Clone(whole[:10]), "chat.canceled", "done"), "canceled", 0},
		"action":           {cozetest.Fault{Kind: cozetest.Action}, []string{"chat.created", "chat.in_progress", "chat.requires_action", "done"}, "requires_action", 0},
		"empty":            {cozetest.Fault{Empty: true}, slices.Concat(whole[:2], whole[6:]), "completed", 0},
		"two answers":      {cozetest.Fault{Answers: 2}, slices.Concat(whole[:6], whole[2:]), "completed", 0},
		"reasoning":        {cozetest.Fault{Reasoning: true}, slices.Concat(whole[:5], whole[2:]), "completed", 0},
		"one delta":        {cozetest.Fault{Deltas: 1}, slices.Concat(whole[:3], whole[5:]), "completed", 0},
		"no done":          {cozetest.Fault{Done: "none"}, whole[:11], "completed", 0},
		"moved":            {cozetest.Fault{Kind: cozetest.Move}, whole, "completed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			srv := cozetest.New(t, cozetest.WithRules(cozetest.Rule{Fault: tc.fault}), func(c *cozetest.Config) { c.Deltas = 3 })
			c := callerOf(t, srv)
			conv := c.conversation()
			r := c.ask(conv, "q", true)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			events := r.events(t)
			if got := names(events); !slices.Equal(got, tc.want) {
				t.Errorf("events\n%q, want\n%q", got, tc.want)
			}
			log := srv.Requests()[1]
			if tc.status == "" {
				if srv.Accepted() != 0 || log.Code != tc.fault.Code {
					t.Errorf("accepted %d, log %+v", srv.Accepted(), log)
				}
				return
			}
			var chat chatData
			c.retrieve(log.ConversationID, log.ChatID).data(t, &chat)
			if chat.Status != tc.status || chat.LastError.Code != tc.code {
				t.Errorf("chat %q, last_error %d; want %q, %d", chat.Status, chat.LastError.Code, tc.status, tc.code)
			}
			if moved := log.ConversationID != conv; moved != (tc.fault.Kind == cozetest.Move) {
				t.Errorf("the chat ran in %s, asked for %s", log.ConversationID, conv)
			}
			code, data := c.messages(log.ConversationID, log.ChatID).envelope(t)
			if code != 0 || (data != nil) != (tc.status == "completed") {
				t.Errorf("messages: code %d, data %s", code, data)
			}
			next := names(c.ask(log.ConversationID, "[[mock:deltas=1]]", true).events(t))
			if busy := tc.status == "in_progress" || tc.status == "requires_action"; (next[0] == "error") != busy {
				t.Errorf("next turn: %q", next)
			}
		})
	}
}

func TestFlatFailureHasATextForACode(t *testing.T) {
	c := one(t, cozetest.Fault{Kind: cozetest.FailFlat, Code: 720702204, Msg: "no name"})
	events := c.ask("", "q", true).events(t)
	if got, want := events[2].Data, `{"code":"720702204","msg":"no name"}`; got != want {
		t.Errorf("data %s, want %s", got, want)
	}
}

func TestErrorWithoutACode(t *testing.T) {
	c := one(t, cozetest.Fault{Kind: cozetest.Error})
	if got := c.ask("", "q", true).Body; got != "event:error\ndata:{}\n\n" {
		t.Errorf("stream %q", got)
	}
}

func TestBareEnvelopeInAStream(t *testing.T) {
	for after, accepted := range []int{0, 1, 1} {
		c := one(t, cozetest.Fault{Kind: cozetest.Bare, Code: 4101, After: after})
		r := c.ask("", "q", true)
		_, rest, ok := cutLast(r.Body, "\n\n")
		if !ok {
			rest = r.Body
		}
		if got := decoded[struct{ Code int }](t, rest).Code; got != 4101 || strings.HasSuffix(r.Body, "\n") || r.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("after %d: %s", after, r.Body)
		}
		if c.srv.Accepted() != accepted {
			t.Errorf("after %d: %d chats", after, c.srv.Accepted())
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func TestCutsInsideAnEvent(t *testing.T) {
	full := one(t, cozetest.Fault{}).ask("", "q", true).Body
	for name, tc := range map[string]struct {
		fault cozetest.Fault
		check func(body string) bool
	}{
		"700 bytes": {cozetest.Fault{Kind: cozetest.Cut, Bytes: 700}, func(b string) bool { return len(b) == 700 }},
		"past the end": {cozetest.Fault{Kind: cozetest.Cut, Bytes: len(full) + 1}, func(b string) bool {
			return strings.HasSuffix(b, `"[DONE]"`+"\n\n")
		}},
		"mid json": {cozetest.Fault{Kind: cozetest.Cut, After: 3, MidJSON: true}, func(b string) bool {
			_, last, ok := cutLast(b, "\n\n")
			_, data, two := strings.Cut(last, "\ndata:")
			return ok && two && strings.HasPrefix(last, "event:conversation.message.delta\n") && strings.HasPrefix(data, "{") && !json.Valid([]byte(data))
		}},
	} {
		for _, reset := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				tc.fault.Reset = reset
				r := one(t, tc.fault).ask("", "q", true)
				if !tc.check(r.Body) {
					t.Errorf("body %q", r.Body)
				}
				if broken := r.Err != nil; broken != (reset && name != "past the end") {
					t.Errorf("err %v", r.Err)
				}
			})
		}
	}
	t.Run("runs on", func(t *testing.T) {
		c := one(t, cozetest.Fault{Kind: cozetest.Cut, Bytes: 700, Then: cozetest.Running})
		c.ask("", "q", true)
		if c.srv.Running() != 1 {
			t.Error("the chat ended with its stream")
		}
	})
	t.Run("polled", func(t *testing.T) {
		c := one(t, cozetest.Fault{Kind: cozetest.Cut})
		if r := c.ask("", "q", false); r.Err == nil || json.Valid([]byte(r.Body)) || c.srv.Accepted() != 1 {
			t.Errorf("%+v, %d accepted", r, c.srv.Accepted())
		}
	})
}

func TestSilence(t *testing.T) {
	const none = -1
	for name, tc := range map[string]struct {
		fault   cozetest.Fault
		silence time.Duration // between the third event and the next, a pace included; none: for ever
		took    time.Duration // the whole
		behind  time.Duration // when the chat ends; none: never
	}{
		"stall":         {cozetest.Fault{Kind: cozetest.Stall, After: 3, For: 20 * time.Second}, 20500 * time.Millisecond, 25 * time.Second, 25 * time.Second},
		"stall forever": {cozetest.Fault{Kind: cozetest.Stall, After: 3}, none, 0, 5 * time.Second},
		"ends later":    {cozetest.Fault{Kind: cozetest.Stall, After: 3, Behind: time.Minute}, none, 0, 65 * time.Second},
		"never ends":    {cozetest.Fault{Kind: cozetest.Stall, After: 3, Then: cozetest.Running}, none, 0, none},
		"slow":          {cozetest.Fault{Pace: 2 * time.Second, Latency: 4 * time.Second}, 2 * time.Second, 20 * time.Second, 20 * time.Second},
		"drip":          {cozetest.Fault{Kind: cozetest.Drip, After: 3, Pace: 10 * time.Second}, 10 * time.Second, 0, none},
		"endless":       {cozetest.Fault{Kind: cozetest.Endless, Pace: 3 * time.Second}, 3 * time.Second, 0, none},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := cozetest.NewInMemory(t, slow, cozetest.WithRules(cozetest.Rule{Fault: tc.fault}))
				c := callerOf(t, srv)
				start := time.Now()
				resp := c.open(t.Context(), "", "q")
				defer resp.Body.Close()
				arrived := make(chan time.Duration, 1000)
				go func() {
					defer close(arrived)
					buf := make([]byte, 64<<10)
					for {
						n, err := resp.Body.Read(buf)
						if n > 0 {
							arrived <- time.Since(start)
						}
						if err != nil {
							return
						}
					}
				}()
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				var times []time.Duration
				over := false
				for more := true; more; {
					select {
					case d, ok := <-arrived:
						if more = ok; ok {
							times = append(times, d)
						} else {
							over = true
						}
					default:
						more = false
					}
				}
				var gap time.Duration
				for i := 1; i < len(times); i++ {
					gap = max(gap, times[i]-times[i-1])
				}
				if tc.silence == none {
					if over || times[len(times)-1] > 2*time.Second {
						t.Errorf("bytes at %v, over %v; want silence for ever", times, over)
					}
				} else if want := max(tc.silence, tc.fault.Latency, time.Second); gap != want {
					t.Errorf("longest gap %v, want %v", gap, want)
				}
				if tc.took != 0 && (!over || times[len(times)-1] != tc.took) {
					t.Errorf("over %v, last byte at %v, want %v", over, times[len(times)-1], tc.took)
				}
				running := tc.behind == none
				if (srv.Running() == 1) != running {
					t.Errorf("%d running", srv.Running())
				}
			})
		})
	}
}

func TestStallBehind(t *testing.T) {
	// The stream says nothing more; a look-up finds the chat running, then done.
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, cozetest.WithRules(cozetest.Rule{
			Fault: cozetest.Fault{Kind: cozetest.Stall, After: 2, Behind: 30 * time.Second}}))
		c := callerOf(t, srv)
		resp := c.open(t.Context(), "", "q")
		defer resp.Body.Close()
		created := first(t, resp).chat(t)
		for _, want := range []string{"in_progress", "completed"} {
			var chat chatData
			c.retrieve(created.ConversationID, created.ID).data(t, &chat)
			if chat.Status != want {
				t.Errorf("status %q, want %q", chat.Status, want)
			}
			time.Sleep(30 * time.Second)
		}
	})
}

func TestAnswerShapes(t *testing.T) {
	t.Run("size", func(t *testing.T) {
		c := one(t, cozetest.Fault{Size: 1 << 20, Answer: "数据🙂"})
		for _, e := range c.ask("", "q", true).events(t) {
			if e.Name != "conversation.message.completed" {
				continue
			}
			if m := e.message(t); m.Type == "answer" && (len(m.Content) != 1<<20 || !strings.HasPrefix(m.Content, "数据🙂 数据")) {
				t.Errorf("%d bytes: %.40s", len(m.Content), m.Content)
			}
		}
	})
	t.Run("reasoning", func(t *testing.T) {
		c := one(t, cozetest.Fault{Reasoning: true, Answer: "text"})
		var reasoning, text strings.Builder
		for _, e := range c.ask("", "q", true).events(t) {
			if e.Name == "conversation.message.delta" {
				m := e.message(t)
				if m.ReasoningContent != "" && (m.Content != "" || text.Len() > 0) {
					t.Errorf("reasoning beside or behind the answer: %s", e.Data)
				}
				reasoning.WriteString(m.ReasoningContent)
				text.WriteString(m.Content)
			}
			if e.Name == "conversation.message.completed" && strings.Contains(e.Data, "reasoning_content") {
				t.Errorf("completed repeats the reasoning: %s", e.Data)
			}
		}
		if reasoning.String() != "The question is: q" || text.String() != "text" {
			t.Errorf("reasoning %q, text %q", &reasoning, &text)
		}
	})
	t.Run("action", func(t *testing.T) {
		c := one(t, cozetest.Fault{Kind: cozetest.Action})
		chat := c.ask("", "q", true).events(t)[2].chat(t)
		if a := chat.RequiredAction; a == nil || a.Type != "submit_tool_outputs" || len(a.Submit.Calls) != 1 || a.Submit.Calls[0].ID == "" {
			t.Errorf("required_action %+v", chat.RequiredAction)
		}
	})
	for form, want := range map[string]string{
		"bare": "event:done\ndata:[DONE]\n\n", "empty": "event:done\ndata:\n\n", "stream.done": "event:conversation.stream.done\ndata:\n\n",
		"debug_url": `event:done` + "\n" + `data:{"debug_url":`,
	} {
		t.Run("done "+form, func(t *testing.T) {
			if body := one(t, cozetest.Fault{Done: form}).ask("", "q", true).Body; !strings.Contains(body, want) {
				t.Errorf("%s", body)
			}
		})
	}
}

func TestFaultsOfOtherCalls(t *testing.T) {
	srv := cozetest.New(t, cozetest.WithRules(
		cozetest.Rule{On: "retrieve", Contains: "special", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 700012006, Status: 401}},
		cozetest.Rule{On: "messages", Nth: 1, Fault: cozetest.Fault{Kind: cozetest.Gateway, Status: 503}},
		cozetest.Rule{On: "cancel", Fault: cozetest.Fault{Kind: cozetest.Hangup}},
		cozetest.Rule{On: "history", Fault: cozetest.Fault{Kind: cozetest.Limit, For: time.Second}},
		cozetest.Rule{On: "message", Fault: cozetest.Fault{Kind: cozetest.Stall, For: time.Microsecond}},
		cozetest.Rule{On: "conversation", Nth: 3, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 5000, Status: 500}},
	))
	c := callerOf(t, srv)
	conv := c.conversation()
	c.conversation()
	var chat chatData
	c.ask(conv, "special", false).data(t, &chat)
	for _, want := range []int{401, 200} {
		if r := c.retrieve(conv, chat.ID); r.Status != want {
			t.Errorf("retrieve: %d, want %d", r.Status, want)
		}
	}
	for _, want := range []int{503, 200} {
		if r := c.messages(conv, chat.ID); r.Status != want {
			t.Errorf("messages: %d, want %d", r.Status, want)
		}
	}
	if r := c.cancel(conv, chat.ID); r.Err == nil {
		t.Errorf("cancel: %+v", r)
	}
	if r := c.call("POST", "/v1/conversation/message/list?conversation_id="+conv, ""); r.Status != 429 {
		t.Errorf("history: %d", r.Status)
	}
	if r := c.call("POST", "/v1/conversation/message/create?conversation_id="+conv, `{"role":"user","content":"x","content_type":"text"}`); r.Status != 200 {
		t.Errorf("message: %d", r.Status)
	}
	if r := c.call("POST", "/v1/conversation/create", ""); r.Status != 500 {
		t.Errorf("conversation: %d", r.Status)
	}
	if err := srv.SetRules(); err != nil {
		t.Fatal(err)
	}
	if r := c.cancel(conv, chat.ID); r.Status != 400 {
		t.Errorf("cancel without rules: %d", r.Status)
	}
}

func TestStalledCallEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := callerOf(t, cozetest.NewInMemory(t, cozetest.WithRules(
			cozetest.Rule{On: "conversation", Fault: cozetest.Fault{Kind: cozetest.Stall}},
			cozetest.Rule{Fault: cozetest.Fault{Kind: cozetest.Stall}},
		)))
		for _, path := range []string{"/v1/conversation/create", "/v3/chat"} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", c.srv.URL+path,
				strings.NewReader(`{"bot_id":"1","user_id":"u","additional_messages":[{"role":"user","content":"q","content_type":"text"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer x")
			client := c.srv.HTTPClient()
			client.Timeout = time.Hour
			start := time.Now()
			if resp, err := client.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				t.Errorf("%s: %s", path, resp.Status)
			}
			if d := time.Since(start); d != time.Hour {
				t.Errorf("%s: gave up after %v", path, d)
			}
		}
	})
}
