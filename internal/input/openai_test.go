package input_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
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
		{"system prepended", request(`{"role":"system","content":"be brief"},` + user), input.SystemPrepend,
			`[{"role":"user","type":"question","content":"be brief\n\nhello","content_type":"text"}]`},
		{"developer before a picture", request(`{"role":"developer","content":"be <brief>"},` + picture), input.SystemPrepend,
			`[{"role":"user","type":"question","content":"[{\"type\":\"text\",\"text\":\"be <brief>\\n\\nwhat\\nis it?\"},{\"type\":\"image\",\"file_url\":\"https://x.cn/a.png\"}]","content_type":"object_string"}]`},
		{"a response", `{"custom_id":"r","method":"POST","url":"/v1/responses","body":{"model":"m","input":"hello","text":{"format":{"type":"text"}},"tools":[],"tool_choice":"auto"}}`, "",
			`[{"role":"user","type":"question","content":"hello","content_type":"text"}]`},
		{"a response without a url, with instructions", `{"custom_id":"r","body":{"input":"hello","instructions":"be brief"}}`, input.SystemPrepend,
			`[{"role":"user","type":"question","content":"be brief\n\nhello","content_type":"text"}]`},
		{"a response to messages", `{"custom_id":"r","method":"POST","url":"/v1/responses","body":{"instructions":"be brief","input":[{"type":"message","role":"developer","content":"be kind"},` +
			`{"role":"user","content":"hello"},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi"}]},` +
			`{"role":"user","content":[{"type":"input_text","text":"what is it?"},{"type":"input_image","image_url":"https://x.cn/a.png","detail":"auto"}]}]}}`, input.SystemPrepend,
			`[{"role":"user","type":"question","content":"be brief\n\nbe kind\n\nhello","content_type":"text"},` +
				`{"role":"assistant","type":"answer","content":"hi","content_type":"text"},` +
				`{"role":"user","type":"question","content":"[{\"type\":\"text\",\"text\":\"what is it?\"},{\"type\":\"image\",\"file_url\":\"https://x.cn/a.png\"}]","content_type":"object_string"}]`},
		{"system dropped", request(`{"role":"system","content":"be brief"},` + user), input.SystemDrop,
			`[{"role":"user","type":"question","content":"hello","content_type":"text"}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := filetest.Open(t, "q.jsonl", test.line, input.Options{System: test.system})
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
	in := filetest.Open(t, "q.jsonl", `{"custom_id":"a","method":"POST","url":"https://api.x.com/v1/chat/completions","conversation_key":"k","body":`+
		`{"model":"m","temperature":0,"n":1,"user":"u1","metadata":{"k":"v"},"tools":null,"messages":[{"role":"user","content":"one"}]}}`+"\n"+
		`{"question":"two"}`, input.Options{})
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
	const cannot = ": a bot cannot be asked for it: take it out, or go on without it with --unsupported drop"
	response := func(body string) string {
		return `{"custom_id":"r","method":"POST","url":"/v1/responses","body":{` + body + `}}`
	}
	tests := []struct{ line, want string }{
		{response(`"model":"m"`), "body.input: missing"},
		{response(`"input":"x","instructions":"be brief"`), "body.input: instructions: Coze has no instructions: put its text into the bot's own prompt and say --system drop, or have it before the question with --system prepend"},
		{response(`"input":[]`), "body.input: there is no question in it"},
		{response(`"input":7`), "body.input: want an array of {role, content}, not a number"},
		{response(`"input":[{"type":"function_call_output","output":"x"}]`), `body.input: [0]: type: "function_call_output", want message`},
		{response(`"input":[{"role":"user","content":[{"type":"input_image","file_id":"file-1"},{"type":"input_text","text":"x"}]}]`), "body.input: [0]: content: [0]: a picture without image_url: a file that was uploaded to OpenAI is not there for Coze"},
		{response(`"input":"x","previous_response_id":"resp_1"`), "body.previous_response_id" + cannot},
		{response(`"input":"x","text":{"format":{"type":"json_schema"}}`), "body.text" + cannot},
		{response(`"messages":[{"role":"user","content":"x"}],"input":"x"`), "body.messages" + cannot},
		{body(`"response_format":{"type":"json_object"}`), "body.response_format" + cannot},
		{body(`"tool_choice":"required"`), "body.tool_choice" + cannot},
		{request(`{"role":"system","content":"be brief"},{"role":"user","content":"x"}`), role},
		{`{"body":{}}`, "body.messages: missing"},
		{request(""), "body.messages: there is no question in it"},
		{request(`{"role":"user","content":"x"},{"role":"assistant","content":"y"}`), "body.messages: an answer behind the question" + cannot},
		{request(`{"role":"tool","content":"x"}`), `body.messages: [0]: role: "tool", want user or assistant`},
		{request(`{"role":"user","content":null}`), "body.messages: [0]: content: want a string, not null"},
		{request(`{"role":"user"}`), "body.messages: [0]: content: want a string, not nothing"},
		{request(`{"role":"user","content":""}`), "additional_messages[0].content: empty"},
		{request(`{"role":"assistant","content":"x","tool_calls":[{}]}`), "body.messages[].tool_calls" + cannot},
		{request(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.cn/a.png"}}]}`), "body.messages: [0]: content: pictures only: Coze wants a text beside them"},
		{request(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}`), "body.messages: [0]: content: [0]: content as data cannot be uploaded from here: upload it to Coze and give its id as file_id, or give a URL of it"},
		{request(`{"role":"user","content":[{"type":"input_audio"}]}`), "body.messages: [0]: content: [0]: content as data cannot be uploaded from here: upload it to Coze and give its id as file_id, or give a URL of it"},
		{body(`"tools":[{}]`), "body.tools" + cannot},
		{body(`"n":3`), "body.n" + cannot},
		{`{"method":"GET","body":{"messages":[{"role":"user","content":"x"}]}}`, `method: "GET", want POST`},
		{`{"url":"/v1/embeddings","body":{"messages":[{"role":"user","content":"x"}]}}`, `url: "/v1/embeddings", want /v1/chat/completions or /v1/responses: nothing else can be asked of a bot`},
		{`{"question":"x","body":{"messages":[{"role":"user","content":"x"}]}}`, "question and body: give one of the two"},
	}
	for _, test := range tests {
		in := filetest.Open(t, "q.jsonl", test.line, input.Options{})
		_, err := in.Check(t.Context())
		if err == nil || strings.TrimPrefix(err.Error(), in.Name()+":1: ") != test.want {
			t.Errorf("%s\ngot  %v\nwant %s", test.line, err, test.want)
		}
	}
}

// TestUnsupported: what no bot can be asked for is one problem for all rows that have it, or is left out and named.
func TestUnsupported(t *testing.T) {
	var lines strings.Builder
	for i := range 1234 {
		fmt.Fprintf(&lines, `{"custom_id":"%d","url":"/v1/chat/completions","body":{"model":"m","temperature":1,"tools":[{}],"response_format":{"type":"json_object"},`+
			`"messages":[{"role":"user","name":"Ann","content":"x"},{"role":"assistant","content":"y"}]}}`+"\n", i)
	}
	lines.WriteString(`{"body":{"messages":[{"role":"user","content":"x"}],"n":2}}` + "\n")
	_, err := filetest.Open(t, "q.jsonl", lines.String(), input.Options{}).Check(t.Context())
	invalid, ok := errors.AsType[*input.InvalidInput](err)
	if !ok {
		t.Fatal(err)
	}
	var got []string
	for _, p := range invalid.Problems {
		_, text, _ := strings.Cut(p.Error(), "q.jsonl:")
		got = append(got, fmt.Sprint(p.Rows, " ", text))
	}
	const rest = "a bot cannot be asked for it: take it out, or go on without it with --unsupported drop"
	want := []string{
		"1234 1: body.messages[].name: 1,234 rows have it, and " + rest,
		"1234 1: body.messages: an answer behind the question: 1,234 rows have it, and " + rest,
		"1234 1: body.response_format: 1,234 rows have it, and " + rest,
		"1234 1: body.tools: 1,234 rows have it, and " + rest,
		"1 1235: body.n: " + rest,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w || invalid.Total != len(want) {
		t.Errorf("%d problems\n%s\nwant\n%s", invalid.Total, g, w)
	}
	in := filetest.Open(t, "q.jsonl", lines.String(), input.Options{Unsupported: input.UnsupportedDrop})
	if stats, err := in.Check(t.Context()); err != nil || stats.Rows != 1235 {
		t.Errorf("dropped: %d rows, %v", stats.Rows, err)
	}
	const found = "model, temperature left to the bot, body.messages: an answer behind the question, body.messages[].name, body.n, body.response_format, body.tools left out"
	if got := in.Found(); got != found {
		t.Errorf("Found: %s, want %s", got, found)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"x"}]}]}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y"}},{"type":"text","text":"z"}]}],"user":"u"}`))
	f.Add([]byte(`{"instructions":"s","input":[{"type":"message","role":"user","content":[{"type":"input_image","image_url":"http://x/y"},{"type":"input_text","text":"z"}]}],"tools":[1]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, o := range []input.Options{{}, {System: input.SystemPrepend}, {System: input.SystemDrop, Unsupported: input.UnsupportedDrop}} {
			fuzzRows(t, "q.jsonl", append([]byte(`{"custom_id":"a","body":`), append(body, '}')...), o)
		}
	})
}
