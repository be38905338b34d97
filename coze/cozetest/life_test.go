package cozetest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// slow takes 1 s to think and 8 deltas of 500 ms: 5 s a chat.
func slow(c *cozetest.Config) { c.Latency, c.DeltaPace = time.Second, 500*time.Millisecond }

// open sends a question and returns its stream as soon as the headers are there.
func (c *caller) open(ctx context.Context, conversation, question string) *http.Response {
	c.t.Helper()
	body := `{"bot_id":"1","user_id":"u","stream":true,"additional_messages":[{"role":"user","content":"` + question + `","content_type":"text"}]}`
	req, err := http.NewRequestWithContext(ctx, "POST", c.srv.URL+"/v3/chat?conversation_id="+conversation, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.srv.HTTPClient().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// first reads the stream's first event.
func first(t *testing.T, resp *http.Response) event {
	t.Helper()
	r := bufio.NewReader(resp.Body)
	name, err1 := r.ReadString('\n')
	data, err2 := r.ReadString('\n')
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return event{strings.TrimSpace(strings.TrimPrefix(name, "event:")), strings.TrimSpace(strings.TrimPrefix(data, "data:"))}
}

func TestStreamKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := callerOf(t, cozetest.NewInMemory(t, slow))
		start := time.Now()
		resp := c.open(t.Context(), "", "q")
		created := first(t, resp)
		if d := time.Since(start); d != 0 || created.Name != "conversation.chat.created" {
			t.Errorf("%s after %v, want created at once", created.Name, d)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("the stream took %v, want 5s", d)
		}
	})
}

func TestChatGoesOnWithoutItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, slow)
		c := callerOf(t, srv)
		conv := c.conversation()
		ctx, hangUp := context.WithCancel(t.Context())
		resp := c.open(ctx, conv, "q")
		id := first(t, resp).chat(t).ID
		time.Sleep(2 * time.Second)
		hangUp()
		resp.Body.Close()
		synctest.Wait()

		var chat chatData
		c.retrieve(conv, id).data(t, &chat)
		if chat.Status != "in_progress" || srv.Running() != 1 {
			t.Errorf("after the hang-up: %q, %d running", chat.Status, srv.Running())
		}
		if code, data := c.messages(conv, id).envelope(t); code != 0 || data != nil {
			t.Errorf("messages before the end: code %d, data %s, want none", code, data)
		}
		time.Sleep(3*time.Second - time.Nanosecond)
		if srv.Running() != 1 {
			t.Error("the chat ended early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if srv.Running() != 0 {
			t.Error("the chat did not end at its time")
		}
		c.retrieve(conv, id).data(t, &chat)
		var list []messageData
		c.messages(conv, id).data(t, &list)
		if chat.Status != "completed" || list[1].Content != `Mock answer to "q".` {
			t.Errorf("at the end: %+v, %+v", chat, list)
		}
	})
}

func TestOneChatAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, slow)
		c := callerOf(t, srv)
		conv := c.conversation()
		resp := c.open(t.Context(), conv, "one")
		first(t, resp)
		busy := c.ask(conv, "two", true).events(t)
		if len(busy) != 1 || busy[0].Name != "error" || decoded[struct{ Code int }](t, busy[0].Data).Code != 4016 {
			t.Errorf("stream: %v, want a single error 4016", busy)
		}
		if code, _ := c.ask(conv, "two", false).envelope(t); code != 4016 {
			t.Errorf("no stream: code %d, want 4016", code)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if got := len(c.ask(conv, "two", true).events(t)); got < 10 {
			t.Errorf("the turn after: %d events", got)
		}
		if got, want := srv.Order(conv), []string{"one", "two"}; !slices.Equal(got, want) {
			t.Errorf("order %q, want %q", got, want)
		}
		if srv.MaxRunning(conv) != 2 || srv.MaxRunning("") != 1 || srv.Accepted() != 2 {
			t.Errorf("at most %d here, %d in all, %d accepted; want 2 (a refused one counts), 1, 2",
				srv.MaxRunning(conv), srv.MaxRunning(""), srv.Accepted())
		}
	})
}

func TestNextTurnAtOnce(t *testing.T) {
	// A client that asks on as soon as it sees chat.completed must never be
	// told that the conversation is busy.
	srv := cozetest.New(t)
	c := callerOf(t, srv)
	conv := c.conversation()
	for range 50 {
		if got := len(c.ask(conv, "q", true).events(t)); got == 1 {
			t.Fatal("busy after chat.completed")
		}
	}
	if srv.MaxRunning(conv) != 1 {
		t.Errorf("at most %d, want 1", srv.MaxRunning(conv))
	}
}

func TestCancel(t *testing.T) {
	for name, tc := range map[string]struct {
		ends bool
		last string
		took time.Duration
	}{
		"stream goes on": {false, "chat.completed", 5 * time.Second},
		"stream ends":    {true, "chat.canceled", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := cozetest.NewInMemory(t, slow, func(c *cozetest.Config) { c.CancelEnds = tc.ends })
				c := callerOf(t, srv)
				conv := c.conversation()
				start := time.Now()
				resp := c.open(t.Context(), conv, "q")
				id := first(t, resp).chat(t).ID
				time.Sleep(2 * time.Second)
				var chat chatData
				c.cancel(conv, id).data(t, &chat)
				if chat.Status != "canceled" {
					t.Errorf("status %q", chat.Status)
				}
				rest, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !strings.Contains(string(rest), tc.last) || time.Since(start) != tc.took {
					t.Errorf("rest after %v, %v: %s", time.Since(start), err, rest)
				}
				c.retrieve(conv, id).data(t, &chat)
				if chat.Status != "canceled" {
					t.Errorf("afterwards %q, want canceled", chat.Status)
				}
				if r := c.cancel(conv, id); r.Status != 200 {
					t.Errorf("a second cancel: %s", r.Body)
				}
				// Its question and answer are not part of the context.
				events := c.ask(conv, "next", true)
				if !strings.Contains(events.Body, `Mock answer to \"next\".`) {
					t.Errorf("next turn: %s", events.Body)
				}
			})
		})
	}
}

func TestCancelOfAFinishedChat(t *testing.T) {
	for question, status := range map[string]string{
		"q": "completed", "q [[mock:fail=5000]]": "failed", "q [[mock:action]]": "requires_action",
	} {
		t.Run(status, func(t *testing.T) {
			c := callerOf(t, cozetest.New(t))
			var chat chatData
			c.ask("", question, false).data(t, &chat)
			c.retrieve(chat.ConversationID, chat.ID).data(t, &chat)
			if chat.Status != status {
				t.Fatalf("status %q, want %q", chat.Status, status)
			}
			r := c.cancel(chat.ConversationID, chat.ID)
			if code, _ := r.envelope(t); code != 4104 {
				t.Errorf("code %d, want 4104", code)
			}
		})
	}
}

func TestUnsavedChatCannotBeLookedUp(t *testing.T) {
	c := callerOf(t, cozetest.New(t))
	conv := c.conversation()
	r := c.call("POST", "/v3/chat?conversation_id="+conv, `{"bot_id":"1","user_id":"u","stream":true,"auto_save_history":false,
		"additional_messages":[{"role":"user","content":"q","content_type":"text"}]}`)
	id := r.events(t)[0].chat(t).ID
	if code, _ := c.retrieve(conv, id).envelope(t); code != 4001 {
		t.Errorf("retrieve: code %d, want 4001", code)
	}
	var list []messageData
	c.call("POST", "/v1/conversation/message/list?conversation_id="+conv, "").data(t, &list)
	if len(list) != 0 {
		t.Errorf("history: %+v", list)
	}
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, slow, func(c *cozetest.Config) { c.Forget = time.Minute })
		c := callerOf(t, srv)
		old, used := c.conversation(), c.conversation()
		time.Sleep(58 * time.Second)
		c.ask(used, "q", true) // ends at 63 s, and is running when its first minute is over
		time.Sleep(time.Minute - time.Second)
		if r := c.call("GET", "/v1/conversation/retrieve?conversation_id="+used, ""); r.Status != 200 {
			t.Errorf("used: %s", r.Body)
		}
		if code, _ := c.call("GET", "/v1/conversation/retrieve?conversation_id="+old, "").envelope(t); code != 4002 {
			t.Errorf("never used: code %d, want 4002", code)
		}
		time.Sleep(time.Second)
		if code, _ := c.call("GET", "/v1/conversation/retrieve?conversation_id="+used, "").envelope(t); code != 4002 {
			t.Errorf("idle for a minute: code %d, want 4002", code)
		}
	})
}

func TestDelayAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []cozetest.Request
		srv := cozetest.NewInMemory(t, func(c *cozetest.Config) {
			c.Delay = 300 * time.Millisecond
			c.Log = func(r cozetest.Request) { seen = append(seen, r) }
		})
		c := callerOf(t, srv)
		start := time.Now()
		c.call("GET", "/nothing", "")
		if d := time.Since(start); d != 300*time.Millisecond {
			t.Errorf("took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/gone", nil)
		if _, err := srv.HTTPClient().Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err %v", err)
		}
		synctest.Wait()
		if len(seen) != 2 || seen[0].Status != 404 || seen[1].Path != "/gone" || seen[1].Status != 0 {
			t.Errorf("log: %+v", seen)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	srv := cozetest.New(t)
	c := callerOf(t, srv)
	done := make(chan error, 2)
	for _, q := range []string{"[[mock:stall after=2]]", "[[mock:endless=1h]]"} {
		resp := c.open(t.Context(), "", q)
		first(t, resp)
		go func() {
			_, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			done <- err
		}()
	}
	srv.Close()
	for range 2 {
		<-done // goleak sees to the rest
	}
	srv.Close()
}

func TestCancelWakesAStalledStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, func(c *cozetest.Config) { c.CancelEnds = true })
		c := callerOf(t, srv)
		resp := c.open(t.Context(), "", "[[mock:stall after=2 then=running]]")
		created := first(t, resp).chat(t)
		time.Sleep(time.Hour)
		c.cancel(created.ConversationID, created.ID)
		rest, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(rest), "event:conversation.chat.canceled\n") || srv.Running() != 0 {
			t.Errorf("%v, %d running: %s", err, srv.Running(), rest)
		}
	})
}

func TestStreamWithoutAnEnd(t *testing.T) {
	// Everything is said, the end does not come: cancel is the only way out.
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, func(c *cozetest.Config) { c.CancelEnds = true })
		c := callerOf(t, srv)
		resp := c.open(t.Context(), "", "[[mock:then=running]]")
		asked := srv.Requests()[0]
		go func() {
			time.Sleep(time.Hour)
			c.cancel(asked.ConversationID, asked.ChatID)
		}()
		rest, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(rest), `"follow_up"`) || strings.Contains(string(rest), "chat.completed") ||
			!strings.Contains(string(rest), "chat.canceled") {
			t.Errorf("%v: %s", err, rest)
		}
	})
}
