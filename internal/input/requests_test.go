package input_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/tasks"
)

// decodeText takes {"model":BOT,"text":QUESTION}.
func decodeText(url string, body json.RawMessage) (*tasks.Chat, json.RawMessage, error) {
	var b struct{ Model, Text string }
	if err := json.Unmarshal(body, &b); err != nil || b.Text == "" {
		return nil, nil, errors.New("text: missing")
	}
	return tasks.Ask(b.Model, b.Text), json.RawMessage(`"` + url + `"`), nil
}

func openRequests(t *testing.T, text string, rules input.Requests, allow func(*tasks.Chat) error) *input.Input {
	t.Helper()
	rules.Decode = decodeText
	in, err := input.Open("-", input.Options{Format: "jsonl", Content: []byte(text), Requests: &rules, Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

const chatURL = "/v1/chat/completions"

func strictLine(id, url, body string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":%q,"body":%s}`, id, url, body) + "\n"
}

func TestStrictRequests(t *testing.T) {
	in := openRequests(t, strictLine("a", chatURL, `{"model":"1","text":"x"}`)+"\n"+strictLine("b", chatURL, `{"model":"2","text":"y"}`),
		input.Requests{URL: chatURL, MaxRows: 2}, nil)
	if _, err := in.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range in.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(row.CustomID, row.Chat.BotID, row.Question(), row.Request.API, row.Request.Model, string(row.Request.Echo)))
	}
	want := []string{`a1x/chat/completions1"` + chatURL + `"`, `b2y/chat/completions2"` + chatURL + `"`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestStrictRequestProblems(t *testing.T) {
	ok := `{"model":"1","text":"x"}`
	for _, c := range []struct{ line, want string }{
		{`{"custom_id":"a","method":"POST","url":"/v1/chat/completions"}`, "body: missing"},
		{`{"custom_id":1,"method":"POST","url":"/v1/chat/completions","body":{}}`, "custom_id: missing, or no string"},
		{`{"method":"POST","url":"/v1/chat/completions","body":{}}`, "custom_id: missing, or no string"},
		{`{"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{"model":"1"}}`, `method: "GET", want POST`},
		{`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{},"prompt":"x"}`, `unknown field "prompt": known are custom_id, method, url, body`},
		{`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{},"customid":"x"}`, `unknown field "customid": did you mean custom_id?`},
		{strictLine("a", "/v1/embeddings", ok), `url: "/v1/embeddings", want /v1/chat/completions or /v1/responses: nothing else can be asked of a bot`},
		{strictLine("a", chatURL, `{"model":"1","text":"x","stream":true}`), "body.stream: true, and the answers of a batch are read when it has ended: leave it out"},
		{strictLine("a", chatURL, `{"model":"1"}`), "body: text: missing"},
		{`["a"]`, "want an object with custom_id, method, url, body, not an array"},
		{`{"custom_id"`, "bad JSON at byte 12: unexpected end of JSON input"},
		{strictLine("first", chatURL, ok), `custom_id "first" is repeated: row 1 has it too`},
		{strictLine("a", chatURL, `{"model":"9","text":"x"}`), "bot 9 is not for this key"},
	} {
		in := openRequests(t, strictLine("first", chatURL, ok)+c.line, input.Requests{}, func(chat *tasks.Chat) error {
			if chat.BotID == "9" {
				return errors.New("bot 9 is not for this key")
			}
			return nil
		})
		_, err := in.Check(t.Context())
		invalid, ok := errors.AsType[*input.InvalidInput](err)
		if !ok || invalid.Total != 1 || invalid.Problems[0].Line != 2 || invalid.Problems[0].What != c.want {
			t.Errorf("%s\ngot  %v\nwant %s", c.line, err, c.want)
		}
	}
	in := openRequests(t, strictLine("a", "/v1/responses", ok), input.Requests{URL: chatURL}, nil)
	if _, err := in.Check(t.Context()); err == nil || !strings.Contains(err.Error(), `url: "/v1/responses", and the batch is for /v1/chat/completions`) {
		t.Errorf("another url: %v", err)
	}
	many := strings.Builder{}
	for i := range 9 {
		many.WriteString(strictLine(fmt.Sprint(i), chatURL, ok))
	}
	_, err := openRequests(t, many.String(), input.Requests{MaxRows: 3}, nil).Check(t.Context())
	if err == nil || err.Error() != "stdin:4: more than 3 requests: split the file" {
		t.Errorf("too many: %v", err)
	}
}

func FuzzStrictRequests(f *testing.F) {
	f.Add(strictLine("a", chatURL, `{"model":"1","text":"x"}`))
	f.Add(`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":[]}`)
	f.Add("{}\n[]\n\"\"\nnull\n")
	f.Fuzz(func(t *testing.T, text string) {
		rules := &input.Requests{MaxRows: 5, Decode: decodeText}
		in, err := input.Open("-", input.Options{Format: "jsonl", Content: []byte(text), Requests: rules})
		if err != nil {
			return
		}
		defer in.Close()
		stats, err := in.Check(t.Context())
		if err != nil {
			return
		}
		n := 0
		for row, err := range in.Rows() {
			if err != nil {
				t.Fatalf("checked, and then %v", err)
			}
			if n++; row.CustomID == "" || row.Request == nil || row.Chat.BotID == "" {
				t.Errorf("row %d: %+v", row.N, row)
			}
		}
		if n != stats.Rows || n == 0 || n > 5 {
			t.Errorf("%d rows, %d checked", n, stats.Rows)
		}
	})
}
