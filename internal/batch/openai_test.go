package batch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/batch"
)

// request is a line of OpenAI's shape with these messages.
func request(messages string) string {
	return `{"custom_id":"r","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[` + messages + `]}}`
}

func TestRequests(t *testing.T) {
	const user = `{"role":"user","content":"hello"}`
	picture := `{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.cn/a.png","detail":"low"}},{"type":"text","text":"what"},{"type":"text","text":"is it?"}]}`
	tests := []struct{ name, line, system, want string }{
		{"a question", request(user), "", `[{"role":"user","type":"question","content":"hello","content_type":"text"}]`},
		{"a conversation", request(user + `,{"role":"assistant","content":"hi","tool_calls":[]},` + user), "",
			`[{"role":"user","type":"question","content":"hello","content_type":"text"},` +
				`{"role":"assistant","type":"answer","content":"hi","content_type":"text"},` +
				`{"role":"user","type":"question","content":"hello","content_type":"text"}]`},
		{"texts", request(`{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`), "",
			`[{"role":"user","type":"question","content":"a\nb","content_type":"text"}]`},
		{"a picture", request(picture), "",
			`[{"role":"user","type":"question","content":"[{\"type\":\"text\",\"text\":\"what\\nis it?\"},{\"type\":\"image\",\"file_url\":\"https://x.cn/a.png\"}]","content_type":"object_string"}]`},
		{"system prepended", request(`{"role":"system","content":"be brief"},` + user), batch.SystemPrepend,
			`[{"role":"user","type":"question","content":"be brief\n\nhello","content_type":"text"}]`},
		{"developer before a picture", request(`{"role":"developer","content":"be <brief>"},` + picture), batch.SystemPrepend,
			`[{"role":"user","type":"question","content":"[{\"type\":\"text\",\"text\":\"be <brief>\\n\\nwhat\\nis it?\"},{\"type\":\"image\",\"file_url\":\"https://x.cn/a.png\"}]","content_type":"object_string"}]`},
		{"system dropped", request(`{"role":"system","content":"be brief"},` + user), batch.SystemDrop,
			`[{"role":"user","type":"question","content":"hello","content_type":"text"}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := open(t, "q.jsonl", test.line, batch.InputOptions{System: test.system})
			if _, err := in.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			for row, err := range in.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				got, err := json.Marshal(row.Chat.AdditionalMessages)
				if err != nil {
					t.Fatal(err)
				}
				if text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(got)); text != test.want {
					t.Errorf("got\n%s\nwant\n%s", text, test.want)
				}
				if row.CustomID != "r" {
					t.Errorf("custom_id %q", row.CustomID)
				}
			}
		})
	}
}

func TestRequestSettings(t *testing.T) {
	in := open(t, "q.jsonl", `{"custom_id":"a","method":"POST","url":"https://api.x.com/v1/chat/completions","conversation_key":"k","body":`+
		`{"model":"m","temperature":0,"n":1,"user":"u1","metadata":{"k":"v"},"tools":null,"messages":[{"role":"user","content":"one"}]}}`+"\n"+
		`{"question":"two"}`, batch.InputOptions{})
	if got, want := rows(t, in), "1@1 a \"one\" bot=bot user=u1 key=k map[] map[] map[k:v]\n2@2 2 \"two\" bot=bot\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if _, err := in.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := in.Found(), "model, temperature left to the bot"; got != want {
		t.Errorf("Found: %s, want %s", got, want)
	}
}

func TestRequestProblems(t *testing.T) {
	body := func(fields string) string {
		return `{"body":{"messages":[{"role":"user","content":"x"}],` + fields + `}}`
	}
	const role = `body.messages: [0]: role: Coze has no system messages: put its text into the bot's own prompt and say --system drop, or have it before the question with --system prepend`
	tests := []struct{ line, want string }{
		{request(`{"role":"system","content":"be brief"},{"role":"user","content":"x"}`), role},
		{`{"body":{}}`, "body.messages: missing"},
		{request(""), "body.messages: there is no question in it"},
		{request(`{"role":"user","content":"x"},{"role":"assistant","content":"y"}`), `additional_messages[1].role: "assistant", but the last message is the question and must be the user's`},
		{request(`{"role":"tool","content":"x"}`), `body.messages: [0]: role: "tool", want user or assistant`},
		{request(`{"role":"user","content":null}`), "body.messages: [0]: content: want a string, not null"},
		{request(`{"role":"user"}`), "body.messages: [0]: content: want a string, not nothing"},
		{request(`{"role":"user","content":""}`), "additional_messages[0].content: empty"},
		{request(`{"role":"assistant","content":"x","tool_calls":[{}]}`), "body.messages: [0]: tool_calls: Coze has nothing of the kind: take it out"},
		{request(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.cn/a.png"}}]}`), "body.messages: [0]: content: pictures only: Coze wants a text beside them"},
		{request(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}`), "body.messages: [0]: content: [0]: a picture as data: upload it to Coze and give its id as an object_string, or a URL of it"},
		{request(`{"role":"user","content":[{"type":"input_audio"}]}`), `body.messages: [0]: content: [0]: type "input_audio", want text or image_url`},
		{body(`"tools":[{}]`), "body.tools: a bot cannot be asked for it: take it out"},
		{body(`"n":3`), "body.n: a bot cannot be asked for it: take it out"},
		{`{"method":"GET","body":{"messages":[{"role":"user","content":"x"}]}}`, `method: "GET", want POST`},
		{`{"url":"/v1/embeddings","body":{"messages":[{"role":"user","content":"x"}]}}`, `url: "/v1/embeddings", want /v1/chat/completions: nothing else can be asked of a bot`},
		{`{"question":"x","body":{"messages":[{"role":"user","content":"x"}]}}`, "question and body: give one of the two"},
	}
	for _, test := range tests {
		in := open(t, "q.jsonl", test.line, batch.InputOptions{})
		_, err := in.Check(t.Context())
		if err == nil || strings.TrimPrefix(err.Error(), in.Name()+":1: ") != test.want {
			t.Errorf("%s\ngot  %v\nwant %s", test.line, err, test.want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"x"}]}]}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y"}},{"type":"text","text":"z"}]}],"user":"u"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, system := range []string{"", batch.SystemPrepend, batch.SystemDrop} {
			fuzzRows(t, "q.jsonl", append([]byte(`{"custom_id":"a","body":`), append(body, '}')...), batch.InputOptions{System: system})
		}
	})
}
