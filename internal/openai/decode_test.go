package openai_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/tasks"
)

const bot, chatAPI, responsesAPI = "7461001", openai.ChatAPI, openai.ResponsesAPI

var models = openai.Models{Aliases: map[string]string{"support": bot}}

func TestDecode(t *testing.T) {
	const question = `{"model":"support","messages":[{"role":"user","content":"x"}]`
	tests := []struct{ name, api, body, system, want string }{
		// The other fronts lose earlier turns, pictures, or the system's words.
		{"turns", chatAPI, `{"model":"bot-7461001","messages":[{"role":"system","content":"be brief"},{"role":"user","name":"Ann","content":"one"},` +
			`{"role":"assistant","content":"1","refusal":null},{"role":"user","content":[{"type":"text","text":"two"},{"type":"image_url","image_url":{"url":"https://x.cn/a.png"}},` +
			`{"type":"file","file":{"file_url":"https://x.cn/b.pdf"}},{"type":"file","file":{"file_id":"73"}}]}]}`, "",
			`7461001 user: be brief` + "\n\n" + `one|assistant: 1|user: [{"type":"text","text":"two"},{"type":"image","file_url":"https://x.cn/a.png"},{"type":"file","file_url":"https://x.cn/b.pdf"},{"type":"file","file_id":"73"}]`},
		{"dropped", chatAPI, `{"model":"7461001","messages":[{"role":"developer","content":"be brief"},{"role":"user","content":"x"}]}`, "drop", "7461001 user: x"},
		{"a conversation has its turns", chatAPI, `{"model":"support","conversation_key":"k","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"1"},{"role":"user","content":"two"}]}`, "",
			"7461001 user: two key=k"},
		{"a text", responsesAPI, `{"model":"support","instructions":"be brief","input":"x","conversation":{"id":"k"},"user":"ann","safety_identifier":"s"}`, "",
			"7461001 user: be brief\n\nx key=k user=ann"},
		{"items", responsesAPI, `{"model":"support","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"},{"type":"input_image","image_url":"https://x.cn/a.png"},{"type":"input_file","file_url":"https://x.cn/b.mp3"}]}]}`, "",
			`7461001 user: [{"type":"text","text":"x"},{"type":"image","file_url":"https://x.cn/a.png"},{"type":"audio","file_url":"https://x.cn/b.mp3"}]`},
		{"what asks for nothing", chatAPI, question + `,"n":1,"tools":[],"tool_choice":"auto","response_format":{"type":"text"},"logprobs":false,"modalities":["text"],"stop":null,"seed":1,"safety_identifier":"s"}`, "",
			"7461001 user: x user=s"},
	}
	for _, test := range tests {
		d := openai.Decoder{Models: models, System: test.system}
		a, err := d.Decode(t.Context(), test.api, []byte(test.body))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := short(a.Chat); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

func short(c *tasks.Chat) string {
	var parts []string
	for _, m := range c.AdditionalMessages {
		parts = append(parts, m.Role+": "+m.Content)
	}
	s := c.BotID + " " + strings.Join(parts, "|")
	if c.ConversationKey != "" {
		s += " key=" + c.ConversationKey
	}
	if c.UserID != "" {
		s += " user=" + c.UserID
	}
	return s
}

func TestRefused(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"x"}]`
	one := func(message string) string { return `{"model":"support","messages":[` + message + `]}` }
	tests := []struct{ body, param, code string }{
		{`{`, "", "invalid_json"},
		{`[]`, "", "invalid_json"},
		{"{\"model\":\"\xff\"}", "", "invalid_json"},
		{`{` + messages + `}`, "model", "missing_required_parameter"},
		{`{"model":"gpt-4o",` + messages + `}`, "model", "model_not_found"},
		{`{"model":7,` + messages + `}`, "model", "invalid_type"},
		{`{"model":"support"}`, "messages", "missing_required_parameter"},
		{`{"model":"support","messages":[]}`, "messages", "invalid_value"},
		{`{"model":"support","n":2,` + messages + `}`, "n", "unsupported_parameter"},
		{`{"model":"support","tools":[{}],` + messages + `}`, "tools", "unsupported_parameter"},
		{`{"model":"support","response_format":{"type":"json_object"},` + messages + `}`, "response_format", "unsupported_parameter"},
		{`{"model":"support","conversation_kee":"k",` + messages + `}`, "conversation_kee", "unknown_parameter"},
		{`{"model":"support","cozeq":{"on_reset":"x"},` + messages + `}`, "cozeq.on_reset", "invalid_value"},
		{`{"model":"support","metadata":{"k":""},` + messages + `}`, "metadata.k", "invalid_value"},
		{`{"model":"support","conversation_id":"1","conversation_key":"k",` + messages + `}`, "conversation_key", "invalid_value"},
		{`{"model":"support","expires_at":"2001-01-01T00:00:00Z",` + messages + `}`, "expires_at", "invalid_value"},
		{`{"model":"support","queue":"A B",` + messages + `}`, "queue", "invalid_value"},
		{one(`{"role":"user","content":""}`), "messages", "invalid_value"},
		{one(`{"role":"tool","content":"x","tool_call_id":"1"}`), "messages[0].tool_call_id", "unsupported_parameter"},
		{one(`{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{}]}`), "messages[1].tool_calls", "unsupported_parameter"},
		{one(`{"role":"user","content":"x"},{"role":"assistant","content":"y"}`), "messages", "invalid_value"},
		{one(`{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}`), "messages[0].content[1]", "invalid_value"},
		{one(`{"role":"user","content":[{"type":"text","text":"x"},{"type":"file","file":{"file_data":"AA"}}]}`), "messages[0].content[1]", "invalid_value"},
		{one(`{"role":"user","content":[{"type":"text","text":"x"},{"type":"file","file":{"file_id":"file-1"}}]}`), "messages[0].content[1]", "invalid_value"},
		{one(`{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}`), "messages[0].content[0]", "invalid_value"},
		{one(`{"role":"system","content":"s"},{"role":"user","content":"x"}`), "messages[0].role", "invalid_value"},
	}
	d := openai.Decoder{Models: models, System: "refuse"}
	check := func(api, body, param, code string) {
		t.Helper()
		_, err := d.Decode(t.Context(), api, []byte(body))
		e, ok := errors.AsType[*openai.Error](err)
		if !ok || e.Param != param || e.Code != code || e.Status < 400 || e.Status > 404 {
			t.Errorf("%s: %#v, want %s at %q", body, err, code, param)
		}
	}
	for _, test := range tests {
		check(chatAPI, test.body, test.param, test.code)
	}
	check(responsesAPI, `{"model":"support","input":"x","instructions":"s"}`, "instructions", "invalid_value")
	check(responsesAPI, `{"model":"support","input":""}`, "input", "invalid_value")
	check(responsesAPI, `{"model":"support","input":"x","background":true,"store":false}`, "store", "invalid_value")
	check(responsesAPI, `{"model":"support","input":"x","previous_response_id":"resp_1","conversation":"k"}`, "previous_response_id", "invalid_value")
	check(responsesAPI, `{"model":"support","input":"x","text":{"format":{"type":"json_schema"}}}`, "text", "unsupported_parameter")

	_, err := d.Decode(t.Context(), chatAPI, []byte(one(`{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}`)))
	if !strings.Contains(err.Error(), "cannot be uploaded from here") || !strings.Contains(err.Error(), "URL") {
		t.Errorf("%v, want what to do", err)
	}
}

// A bot that a key may not ask does not exist for it.
func TestInvisible(t *testing.T) {
	d := openai.Decoder{Models: models}
	ctx := apikey.NewContext(t.Context(), &apikey.Key{Name: "acme", Bots: []string{"7461002"}})
	for _, model := range []string{"support", bot} {
		_, err := d.Decode(ctx, chatAPI, []byte(`{"model":"`+model+`","messages":[{"role":"user","content":"x"}]}`))
		if e, ok := errors.AsType[*openai.Error](err); !ok || e.Status != 404 || e.Code != "model_not_found" || strings.Contains(e.Message, ", or support") {
			t.Errorf("%s: %#v", model, err)
		}
	}
}

// docs/openai.md names every parameter that is ignored, refused or ours.
func TestDocument(t *testing.T) {
	raw, err := os.ReadFile("../../docs/openai.md")
	if err != nil {
		t.Fatal(err)
	}
	for list, names := range openai.Parameters() {
		_, section, found := strings.Cut(string(raw), "## "+list+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		if !found {
			t.Errorf("docs/openai.md has no section %q", list)
		}
		for _, name := range names {
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("docs/openai.md, %q: %s is missing", list, name)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(true, []byte(`{"model":"support","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"file","file":{"file_url":"http://x/y"}}]}],"stream":true}`))
	f.Add(false, []byte(`{"model":"bot-1","input":[{"type":"message","role":"user","content":"x"}],"instructions":"s","conversation":{"id":"k"},"metadata":{"a":"b"},"cozeq":{"on_reset":"wait"}}`))
	f.Add(true, []byte(`{"model":"1","messages":[{"role":"assistant","content":"x"}],"conversation_key":"k"}`))
	f.Fuzz(func(t *testing.T, chat bool, body []byte) {
		api := responsesAPI
		if chat {
			api = chatAPI
		}
		for _, system := range []string{"", "drop", "refuse"} {
			d := openai.Decoder{Models: models, System: system}
			a, err := d.Decode(t.Context(), api, body)
			if err != nil {
				if e, ok := errors.AsType[*openai.Error](err); !ok || e.Status < 400 || e.Status > 404 || e.Message == "" {
					t.Fatalf("%#v", err)
				}
				continue
			}
			if err := a.Chat.Validate(); err != nil {
				t.Fatalf("let through: %v", err)
			}
			if _, err := json.Marshal(a.Chat); err != nil {
				t.Fatal(err)
			}
		}
	})
}
