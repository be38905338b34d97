package cozetest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// caller speaks plain HTTP to a server, so that what these tests see is the wire
// and not a client's reading of it.
type caller struct {
	t     *testing.T
	srv   *cozetest.Server
	token string
}

func callerOf(t *testing.T, srv *cozetest.Server) *caller {
	return &caller{t, srv, "pat_test"}
}

// reply is what came back. Body is what arrived before Err, if any.
type reply struct {
	Status int
	Header http.Header
	Body   string
	Err    error
}

func (c *caller) call(method, path, body string) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.srv.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.srv.HTTPClient().Do(req)
	if err != nil {
		return reply{Err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b), err}
}

// ask sends a question. conversation may be empty.
func (c *caller) ask(conversation, question string, stream bool) reply {
	c.t.Helper()
	path := "/v3/chat"
	if conversation != "" {
		path += "?conversation_id=" + conversation
	}
	body, err := json.Marshal(map[string]any{
		"bot_id": "7379", "user_id": "u", "stream": stream,
		"additional_messages": []any{map[string]any{
			"role": "user", "content": question, "content_type": "text", "meta_data": map[string]string{"k": "v"},
		}},
		"meta_data": map[string]string{"task": "t1"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.call("POST", path, string(body))
}

func (c *caller) conversation() string {
	c.t.Helper()
	var data struct{ ID string }
	c.call("POST", "/v1/conversation/create", "{}").data(c.t, &data)
	if data.ID == "" {
		c.t.Fatal("no conversation id")
	}
	return data.ID
}

// envelope decodes a reply that must be an envelope.
func (r reply) envelope(t *testing.T) (code int, data json.RawMessage) {
	t.Helper()
	if r.Err != nil {
		t.Fatalf("call failed: %v", r.Err)
	}
	var e struct {
		Code   *int
		Msg    *string
		Data   json.RawMessage
		Detail struct{ LogID string }
	}
	if err := json.Unmarshal([]byte(r.Body), &e); err != nil {
		t.Fatalf("reply %q: %v", r.Body, err)
	}
	if e.Code == nil || e.Msg == nil || e.Detail.LogID == "" || e.Detail.LogID != r.Header.Get("X-Tt-Logid") {
		t.Fatalf("reply is no whole envelope: %s, logid header %q", r.Body, r.Header.Get("X-Tt-Logid"))
	}
	return *e.Code, e.Data
}

// data decodes the data of a reply that must be a success.
func (r reply) data(t *testing.T, v any) {
	t.Helper()
	code, data := r.envelope(t)
	if code != 0 || r.Status != http.StatusOK {
		t.Fatalf("status %d, code %d: %s", r.Status, code, r.Body)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("data %s: %v", data, err)
	}
}

// event is one of a stream in Coze's form.
type event struct {
	Name string
	Data string
}

// events takes a stream apart that must be in Coze's form to the byte.
func (r reply) events(t *testing.T) []event {
	t.Helper()
	if ct := r.Header.Get("Content-Type"); r.Status != http.StatusOK || ct != "text/event-stream" {
		t.Fatalf("status %d, content type %q: %s", r.Status, ct, r.Body)
	}
	var out []event
	rest := r.Body
	for rest != "" {
		block, after, ok := strings.Cut(rest, "\n\n")
		first, second, two := strings.Cut(block, "\n")
		name, named := strings.CutPrefix(first, "event:")
		data, dated := strings.CutPrefix(second, "data:")
		if !ok || !two || !named || !dated || strings.HasPrefix(name, " ") || strings.Contains(data, "\n") {
			t.Fatalf("block %q is not event:NAME, data:JSON and an empty line", block)
		}
		if !json.Valid([]byte(data)) {
			t.Fatalf("data of %s is no JSON: %s", name, data)
		}
		out = append(out, event{name, data})
		rest = after
	}
	return out
}

func names(events []event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = strings.TrimPrefix(e.Name, "conversation.")
	}
	return out
}

// chatData is a chat as it is on the wire.
type chatData struct {
	ID             string
	ConversationID string `json:"conversation_id"`
	BotID          string `json:"bot_id"`
	Status         string
	CreatedAt      int64             `json:"created_at"`
	CompletedAt    int64             `json:"completed_at"`
	FailedAt       int64             `json:"failed_at"`
	MetaData       map[string]string `json:"meta_data"`
	LastError      struct {
		Code int
		Msg  string
	} `json:"last_error"`
	Usage struct {
		Tokens int `json:"token_count"`
		Output int `json:"output_count"`
		Input  int `json:"input_count"`
	}
	RequiredAction *struct {
		Type   string
		Submit struct {
			Calls []struct{ ID string } `json:"tool_calls"`
		} `json:"submit_tool_outputs"`
	} `json:"required_action"`
}

// messageData is a message as it is on the wire.
type messageData struct {
	ID               string
	ConversationID   string `json:"conversation_id"`
	ChatID           string `json:"chat_id"`
	BotID            string `json:"bot_id"`
	Role, Type       string
	Content          string
	ContentType      string            `json:"content_type"`
	ReasoningContent string            `json:"reasoning_content"`
	MetaData         map[string]string `json:"meta_data"`
	CreatedAt        int64             `json:"created_at"`
	UpdatedAt        string            `json:"updated_at"`
}

func (e event) chat(t *testing.T) chatData { return decoded[chatData](t, e.Data) }

func (e event) message(t *testing.T) messageData { return decoded[messageData](t, e.Data) }

func decoded[T any](t *testing.T, s string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func (c *caller) retrieve(conversation, chat string) reply {
	c.t.Helper()
	return c.call("GET", "/v3/chat/retrieve?conversation_id="+conversation+"&chat_id="+chat, "")
}

func (c *caller) messages(conversation, chat string) reply {
	c.t.Helper()
	return c.call("GET", "/v3/chat/message/list?conversation_id="+conversation+"&chat_id="+chat, "")
}

func (c *caller) cancel(conversation, chat string) reply {
	c.t.Helper()
	return c.call("POST", "/v3/chat/cancel", `{"conversation_id":"`+conversation+`","chat_id":"`+chat+`"}`)
}
