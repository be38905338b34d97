package coze_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

// served starts a real server, and a client of it that holds no connections after the test.
func served(t testing.TB, handler http.HandlerFunc) (*coze.Client, *httptest.Server) {
	server := httptest.NewServer(handler)
	transport := coze.NewTransport(8)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return &coze.Client{BaseURL: server.URL + "/", Auth: coze.StaticToken("pat_1"), HTTP: &http.Client{Transport: transport}}, server
}

const js = "application/json"

func TestCalls(t *testing.T) {
	ctx := t.Context()
	no := false
	chat := &coze.Chat{ID: chatID, ConversationID: thread, Status: coze.StatusInProgress}
	tests := []struct {
		name, request, body, reply string
		call                       func(*coze.Client) (any, error)
		want                       any
	}{
		{
			"create conversation", "POST /v1/conversation/create", `{"bot_id":"b","messages":[{"role":"user","content":"x","content_type":"text"}],"meta_data":{"k":"v"}}`,
			`{"code":0,"data":{"id":"7","created_at":"5","meta_data":{"k":"v"},"last_section_id":"9"},"msg":""}`,
			func(c *coze.Client) (any, error) {
				return c.CreateConversation(ctx, &coze.ConversationRequest{BotID: "b", Messages: []coze.Message{{Content: "x"}}, MetaData: map[string]string{"k": "v"}})
			}, &coze.Conversation{ID: "7", CreatedAt: 5, MetaData: map[string]string{"k": "v"}, LastSectionID: "9"},
		},
		{
			"create an empty conversation", "POST /v1/conversation/create", `{}`, `{"data":{"id":7}}`,
			func(c *coze.Client) (any, error) { return c.CreateConversation(ctx, nil) }, &coze.Conversation{ID: "7"},
		},
		{
			"retrieve conversation", "GET /v1/conversation/retrieve?conversation_id=7%2F%26", ``, `{"code":"0","data":{"id":"7","name":"n"}}`,
			func(c *coze.Client) (any, error) { return c.RetrieveConversation(ctx, "7/&") }, &coze.Conversation{ID: "7", Name: "n"},
		},
		{
			"create message", "POST /v1/conversation/message/create?conversation_id=7", `{"role":"user","content":"","content_type":"text"}`,
			`{"code":0,"data":{"id":"1","conversation_id":"7","bot_id":"","chat_id":"","content":"","content_type":"text","role":"user","type":"","created_at":5,"updated_at":"6"}}`,
			func(c *coze.Client) (any, error) {
				return c.CreateMessage(ctx, "7", &coze.Message{ID: "not sent", CreatedAt: 3})
			}, &coze.Message{ID: "1", ConversationID: "7", Role: coze.RoleUser, ContentType: coze.ContentText, CreatedAt: 5, UpdatedAt: 6},
		},
		{
			"delete message", "POST /v1/conversation/message/delete?conversation_id=7&message_id=8%26", ``,
			`{"code":0,"data":{"id":"8&","conversation_id":"7","type":"question"},"msg":""}`,
			func(c *coze.Client) (any, error) { return nil, c.DeleteMessage(ctx, "7", "8&") }, nil,
		},
		{
			"list messages", "POST /v1/conversation/message/list?conversation_id=7", `{"order":"desc","limit":2}`,
			`{"code":0,"data":[{"id":"2","created_at":5},{"id":"1","created_at":"5"}],"first_id":"2","last_id":1,"has_more":true}`,
			func(c *coze.Client) (any, error) {
				return c.ListMessages(ctx, "7", &coze.ListMessagesRequest{Order: "desc", Limit: 2})
			}, &coze.MessagePage{Messages: []coze.Message{{ID: "2", CreatedAt: 5}, {ID: "1", CreatedAt: 5}}, FirstID: "2", LastID: "1", HasMore: true},
		},
		{
			"list no messages", "POST /v1/conversation/message/list?conversation_id=7", `{}`, `{"code":0,"data":null,"has_more":false}`,
			func(c *coze.Client) (any, error) { return c.ListMessages(ctx, "7", nil) }, &coze.MessagePage{},
		},
		{
			"create chat", "POST /v3/chat?conversation_id=7", `{"bot_id":"b","user_id":"u","additional_messages":[{"role":"user","type":"question","content":"why <&>?","content_type":"text"}],"stream":false,"auto_save_history":false,"parameters":{"a":[1]}}`,
			`{"code":0,"data":{"id":"` + chatID + `","conversation_id":"` + thread + `","status":"in_progress"}}`,
			func(c *coze.Client) (any, error) {
				return c.CreateChat(ctx, &coze.ChatRequest{ConversationID: "7", BotID: "b", UserID: "u", AutoSaveHistory: &no,
					AdditionalMessages: []coze.Message{coze.UserText("why <&>?")}, Parameters: map[string]json.RawMessage{"a": json.RawMessage("[1]")}})
			}, chat,
		},
		{
			"retrieve chat", "GET /v3/chat/retrieve?conversation_id=" + thread + "&chat_id=" + chatID, ``,
			`{"code":0,"data":{"id":"` + chatID + `","status":"in_progress"}}`,
			func(c *coze.Client) (any, error) { return c.RetrieveChat(ctx, thread, chatID) }, chat,
		},
		{
			"42 no data", "GET /v3/chat/message/list?conversation_id=7&chat_id=8", ``, `{"code":0,"msg":""}`,
			func(c *coze.Client) (any, error) { return c.ListChatMessages(ctx, "7", "8") }, []coze.Message(nil),
		},
		{
			"42 data null", "GET /v3/chat/message/list?conversation_id=7&chat_id=8", ``, `{"code":0,"data":null}`,
			func(c *coze.Client) (any, error) { return c.ListChatMessages(ctx, "7", "8") }, []coze.Message(nil),
		},
		{
			"42 Messages", "GET /v3/chat/message/list?conversation_id=7&chat_id=8", ``, `{"code":0,"Messages":[{"id":"1","type":"verbose"},{"id":"2","type":"answer"}]}`,
			func(c *coze.Client) (any, error) { return c.ListChatMessages(ctx, "7", "8") },
			[]coze.Message{{ID: "1", Type: coze.MessageVerbose}, {ID: "2", Type: coze.MessageAnswer}},
		},
		{
			"45 cancel without a code", "POST /v3/chat/cancel", `{"conversation_id":"` + thread + `","chat_id":"` + chatID + `"}`,
			`{"data":{"id":"` + chatID + `","conversation_id":"` + thread + `","status":"in_progress","last_error":{"code":null,"msg":""},"required_action":{"type":"","submit_tool_outputs":{"tool_calls":[]}}}}`,
			func(c *coze.Client) (any, error) { return c.CancelChat(ctx, thread, chatID) }, chat,
		},
		{
			"45 cancel without data", "POST /v3/chat/cancel", `{"conversation_id":"7","chat_id":"8"}`, `{}`,
			func(c *coze.Client) (any, error) { return c.CancelChat(ctx, "7", "8") }, &coze.Chat{ID: "8", ConversationID: "7"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := r.Method + " " + r.URL.RequestURI(); got != tt.request {
					t.Errorf("request %s, want %s", got, tt.request)
				}
				if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(body)); got != tt.body {
					t.Errorf("body %s\nwant %s", got, tt.body)
				}
				if got := r.Header.Get("Authorization"); got != "Bearer pat_1" {
					t.Errorf("authorization %q", got)
				}
				if len(body) > 0 && (r.Header.Get("Content-Type") != js || r.ContentLength != int64(len(body))) {
					t.Errorf("content type %q, length %d", r.Header.Get("Content-Type"), r.ContentLength)
				}
				w.Header().Set("Content-Type", js)
				io.WriteString(w, tt.reply)
			})
			got, err := tt.call(c)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

// What the calls other than a chat say when they are refused; 4104 is transcript 44's.
func TestRefusedCalls(t *testing.T) {
	c := clientOf(reply(200, js, `{"code":4104,"msg":"cannot be canceled","detail":{"logid":"L"}}`))
	_, err := c.CancelChat(t.Context(), "7", "8")
	e := typed(t, err)
	if e.Code != 4104 || e.Op != "chat/cancel" || e.ConversationID != "7" || e.ChatID != "8" || e.Error() != "coze 4104 (permanent): cannot be canceled logid=L" {
		t.Errorf("%+v", e)
	}
	_, err = clientOf(reply(502, "text/html", "<h1>Bad\nGateway</h1>")).ListChatMessages(t.Context(), "7", "8")
	if want := "coze chat/message/list http 502 (transient): the reply is text/html: <h1>Bad Gateway</h1>"; err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = clientOf(reply(200, js, `{"code":0,"data":[]}`)).RetrieveChat(t.Context(), "7", "8")
	if e := typed(t, err); e.Class != coze.ClassTransient || e.Err == nil {
		t.Errorf("data of another shape: %+v", e)
	}
	_, err = clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
		return response(r, 200, js, io.LimitReader(endless{}, 1<<30)), nil
	})).RetrieveChat(t.Context(), "7", "8")
	if !errors.Is(err, coze.ErrEventTooLarge) {
		t.Errorf("a reply of 1 GiB: %v", err)
	}
	_, err = clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
		return response(r, 200, js, io.MultiReader(strings.NewReader(`{"code":0`), failing{errReset})), nil
	})).RetrieveChat(t.Context(), "7", "8")
	if e := typed(t, err); e.Class != coze.ClassTransient || !errors.Is(err, errReset) {
		t.Errorf("a reply cut short: %+v", e)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// The promise of Accumulate: a streamed chat is the chat that the look-ups give.
func TestStreamedIsRetrieved(t *testing.T) {
	streamed := listen(t, clientOf(stream(whole)), false)
	data := func(s string) string {
		_, s, _ = strings.Cut(s, "data:")
		return strings.TrimSpace(s)
	}
	c := clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
		body := data(completed)
		if strings.HasSuffix(r.URL.Path, "list") {
			body = "[" + data(finish) + "," + data(answered) + "," + data(followUp) + "]"
		}
		return response(r, 200, js, strings.NewReader(`{"code":0,"data":`+body+`}`), "X-Tt-Logid", "20261123LOG"), nil
	}))
	found, err := c.RetrieveChat(t.Context(), thread, chatID)
	if err != nil {
		t.Fatal(err)
	}
	if found.Messages, err = c.ListChatMessages(t.Context(), thread, chatID); err != nil {
		t.Fatal(err)
	}
	found.Messages[0], found.Messages[1] = found.Messages[1], found.Messages[0] // lists come in another order
	if !reflect.DeepEqual(&streamed.chat, found) {
		t.Errorf("streamed %+v\nfound %+v", streamed.chat, *found)
	}
	if found.Answer() != answer || found.Err() != nil {
		t.Errorf("answer %q, error %v", found.Answer(), found.Err())
	}
}

// A message that comes twice is one: the later form counts, but for what it leaves out.
func TestAccumulateReplaces(t *testing.T) {
	var chat coze.Chat
	for _, m := range []coze.Message{
		{ID: "1", Type: coze.MessageAnswer, Content: "old", ReasoningContent: "because"},
		{ID: "2", Type: coze.MessageAnswer, Content: "other"},
		{ID: "1", Type: coze.MessageAnswer, Content: "new"},
		{ID: "1", Type: coze.MessageAnswer, UpdatedAt: 5},
	} {
		chat.Accumulate(coze.Event{Type: coze.EventMessageCompleted, Message: &m})
	}
	want := []coze.Message{
		{ID: "1", Type: coze.MessageAnswer, Content: "new", ReasoningContent: "because", UpdatedAt: 5},
		{ID: "2", Type: coze.MessageAnswer, Content: "other"},
	}
	if !reflect.DeepEqual(chat.Messages, want) {
		t.Errorf("%+v", chat.Messages)
	}
}

// The caller's request may be used again: nothing is written into it.
func TestRequestIsNotChanged(t *testing.T) {
	q := &coze.ChatRequest{BotID: "b", UserID: "u", AdditionalMessages: []coze.Message{{Content: "x"}}}
	if _, err := clientOf(stream(whole)).Stream(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if q.Stream || !reflect.DeepEqual(q.AdditionalMessages[0], coze.Message{Content: "x"}) {
		t.Errorf("%+v", q)
	}
}

// Transcript 49: a compressed stream.
func TestGzip(t *testing.T) {
	c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		for part := range strings.SplitAfterSeq(whole, "\n\n") {
			io.WriteString(z, part)
			z.Flush()
			w.(http.Flusher).Flush()
		}
	})
	if got := listen(t, c, true); got.err != nil || got.chat.Answer() != answer || got.deltas != answer {
		t.Errorf("answer %q, error %v", got.chat.Answer(), got.err)
	}
}

// Transcript 49: a connection of HTTP/2 that goes away in the middle of a stream.
func TestHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol %s", r.Proto)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, created)
		w.(http.Flusher).Flush()
		if r.URL.Query().Get("conversation_id") == "cut" {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, answered+completed+done)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	c := &coze.Client{BaseURL: server.URL, Auth: coze.StaticToken("t"), HTTP: server.Client()}
	if got := listen(t, c, false); got.err != nil || got.chat.Answer() != answer {
		t.Errorf("answer %q, error %v", got.chat.Answer(), got.err)
	}
	q := question()
	q.ConversationID = "cut"
	s, err := c.Stream(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range s.Events() {
		last = err
	}
	check(t, typed(t, last), coze.ClassTruncated, coze.ZoneCreated, false, 0)
}

// No redirect is followed: net/http would send the token along to another port or scheme of the same host, and on 307 and
// 308 the question to any host. The user's own client stays as it was.
func TestNoRedirectIsFollowed(t *testing.T) {
	var calls atomic.Int32
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer other.Close()
	var status atomic.Int32
	var to atomic.Value
	c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to.Load().(string)+r.URL.Path+"?key=secret#secret")
		w.WriteHeader(int(status.Load()))
	})
	c.HTTP = other.Client()
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{other.URL, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)} {
			status.Store(int32(code))
			to.Store(strings.Replace(target, "https://", "https://user:secret@", 1))
			_, err := c.Stream(t.Context(), question())
			_, err2 := c.RetrieveChat(t.Context(), "1", "2")
			for _, err := range []error{err, err2} {
				e := typed(t, err)
				if e.Zone != coze.ZoneRefused || e.Status != code || !strings.Contains(e.Message, target+"/v3/chat") {
					t.Errorf("%d: %v, zone %v", code, e, e.Zone)
				}
				if !strings.Contains(e.Hint(), target+" ") || !strings.Contains(e.Hint(), "--coze-base") || strings.Contains(e.Error()+e.Hint(), "secret") {
					t.Errorf("%d: %v, hint %q", code, e, e.Hint())
				}
			}
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the other server was called %d times", n)
	}
	if c.HTTP.CheckRedirect != nil {
		t.Error("the user's client was changed")
	}
}

// A real server that dies: before a byte of its reply, and in the middle of its chunked body.
func TestHangUp(t *testing.T) {
	c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("conversation_id") != "" {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, created)
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	})
	_, err := c.Stream(t.Context(), question())
	check(t, typed(t, err), coze.ClassTransient, coze.ZoneUnknown, false, 0)
	q := question()
	q.ConversationID = "1"
	s, err := c.Stream(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range s.Events() {
		last = err
	}
	check(t, typed(t, last), coze.ClassTruncated, coze.ZoneCreated, false, 0)
}

// What refuses a connection whatever is asked is the way there: a proxy, a certificate, a port that has no TLS. A network
// that is away may come back.
func TestWayThere(t *testing.T) {
	status := http.StatusProxyAuthRequired
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }))
	defer proxy.Close()
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, tt := range map[string]struct {
		base  string
		proxy int
		class coze.Class
		hint  string
	}{
		"a proxy that wants a login": {"https://coze.test", 407, coze.ClassEndpoint, "HTTPS_PROXY"},
		"a proxy that forbids":       {"https://coze.test", 403, coze.ClassEndpoint, "HTTPS_PROXY"},
		"a proxy that gets nowhere":  {"https://coze.test", 502, coze.ClassTransient, "no attempt is used up"},
		"a certificate of nobody's":  {server.URL, 0, coze.ClassEndpoint, "SSL_CERT_FILE"},
		"no TLS":                     {strings.Replace(plain.URL, "http:", "https:", 1), 0, coze.ClassEndpoint, "--coze-base"},
		"nobody listens":             {"http://127.0.0.1:1", 0, coze.ClassTransient, "no attempt is used up"},
	} {
		t.Run(name, func(t *testing.T) {
			transport := coze.NewTransport(1)
			defer transport.CloseIdleConnections()
			transport.Proxy = nil
			if status = tt.proxy; status != 0 {
				transport.Proxy = http.ProxyURL(proxyURL)
			}
			c := &coze.Client{BaseURL: tt.base, Auth: coze.StaticToken("pat_1"), HTTP: &http.Client{Transport: transport}}
			_, err := c.Stream(t.Context(), question())
			e := typed(t, err)
			if e.Class != tt.class || e.Zone != coze.ZoneRefused || e.Status != 0 || !strings.Contains(e.Hint(), tt.hint) {
				t.Errorf("%v, zone %v, hint %q", e, e.Zone, e.Hint())
			}
			if tt.proxy != 0 && !strings.Contains(e.Message, fmt.Sprintf("the proxy %s answers %d", proxyURL.Host, tt.proxy)) {
				t.Errorf("%v", e)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	c, server := served(t, func(http.ResponseWriter, *http.Request) {})
	server.Close()
	_, err := c.Stream(t.Context(), question())
	check(t, typed(t, err), coze.ClassTransient, coze.ZoneRefused, false, 0)
}

// A stream read to its end gives its connection back: many questions, one after another, need one.
func TestConnectionsAreReused(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.RemoteAddr]++
		mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, whole)
	})
	for range 20 {
		if got := listen(t, c, false); got.err != nil {
			t.Fatal(got.err)
		}
	}
	if len(seen) != 1 {
		t.Errorf("%d connections for 20 questions", len(seen))
	}
}

func TestConcurrentStreams(t *testing.T) {
	c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, whole)
	})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			s, err := c.Stream(t.Context(), question())
			if err != nil {
				t.Error(err)
				return
			}
			var chat coze.Chat
			for event, err := range s.Events() {
				if err != nil {
					t.Error(err)
				}
				chat.Accumulate(event)
			}
			if chat.Answer() != answer {
				t.Errorf("answer %q", chat.Answer())
			}
		})
	}
	wg.Wait()
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*coze.Error{
		"coze 4013 (rate): model busy logid=L":            {Op: "chat", Code: 4013, Status: 200, Class: coze.ClassRate, Message: "model busy", LogID: "L"},
		"coze chat http 502 (transient): html":            {Op: "chat", Status: 502, Class: coze.ClassTransient, Message: "html"},
		"coze chat (timeout): no event came for too long": {Op: "chat", Status: 200, Class: coze.ClassTimeout, Err: coze.ErrIdle},
		"coze chat (canceled)":                            {Op: "chat", Class: coze.ClassCanceled},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e, want)
		}
	}
	if fmt.Sprint(coze.ZoneRefused, coze.ZoneUnknown, coze.ZoneCreated) != "refused unknown created" {
		t.Error("zones have other names")
	}
}
