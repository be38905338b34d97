package input

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/messages"
)

// A row in the format of OpenAI's batches is a request to its API:
//
//	{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"...","messages":[{"role":"user","content":"hello"}]}}
//	{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"...","instructions":"...","input":"hello"}}
//
// Its messages are asked. Settings of a model are left to the bot. A field that changes the answer and that a bot does not
// support makes the row wrong, unless such fields are dropped.

// Request is what the response to such a row needs of it.
type Request struct {
	API   string `json:"api"`
	Model string `json:"model,omitempty"`

	// Echo is what else the HTTP API's reply repeats of the request: see Requests. This package does not read it.
	Echo json.RawMessage `json:"echo,omitempty"`
}

func isRequest(fields map[string]json.RawMessage) bool {
	raw, there := fields["body"]
	return there && messages.Kind(raw) == "an object"
}

// The ends of the URLs of the two APIs.
const (
	chatAPI      = "/chat/completions"
	ResponsesAPI = "/responses"
)

// apiOf is the API that a request is for. Without a URL its body decides.
func apiOf(fields map[string]json.RawMessage) (string, error) {
	raw := fields["url"]
	if messages.Kind(raw) != "a string" {
		var body struct {
			Messages json.RawMessage `json:"messages"`
			Input    json.RawMessage `json:"input"`
		}
		if err := json.Unmarshal(fields["body"], &body); err == nil && body.Input != nil && body.Messages == nil {
			return ResponsesAPI, nil
		}
		return chatAPI, nil
	}
	url, _ := messages.StringOf(raw)
	for _, api := range []string{chatAPI, ResponsesAPI} {
		if strings.HasSuffix(url, api) {
			return api, nil
		}
	}
	return "", fmt.Errorf("url: %s, want /v1/chat/completions or /v1/responses: nothing else can be asked of a bot", raw)
}

// leftToTheBot are the settings of a model, and what a row cannot have of the API. A row of either API may have those of both.
var leftToTheBot = slices.Concat(messages.ChatSettings, messages.ResponsesSettings, []string{
	"model", "logprobs", "top_logprobs", "store", "background", "stream", "stream_options", "safety_identifier",
})

type openAI struct {
	names               *names
	system, unsupported string // see Options
}

func (o *openAI) parse(fields map[string]json.RawMessage, row *Row) (wrong []string) {
	if o.names.prompt != nil {
		return []string{"body and a prompt: give one of the two"}
	}
	api, err := apiOf(fields)
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		if messages.Kind(raw) == kindNull {
			continue
		}
		var err error
		switch meant := o.names.meant(name); meant {
		case "body", "url":
		case "method":
			if method, _ := messages.StringOf(raw); !strings.EqualFold(method, "POST") {
				err = fmt.Errorf("method: %s, want POST", raw)
			}
		case FieldQuestion, fieldMessages, fieldFileURL, fieldFileID, fieldImageURL, fieldImageID, fieldFile, fieldImage:
			err = fmt.Errorf("%s and body: give one of the two", name)
		default:
			err = o.names.setField(row, name, raw)
		}
		if err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	row.Request = &Request{API: api}
	return append(wrong, o.parseBody(fields["body"], api, row)...)
}

func (o *openAI) parseBody(raw json.RawMessage, api string, row *Row) (wrong []string) {
	body, err := objectOf(raw, "an object")
	if err != nil {
		return []string{"body: " + err.Error()}
	}
	asked := "messages"
	if api == ResponsesAPI {
		asked = "input"
	}
	maps.DeleteFunc(body, func(name string, raw json.RawMessage) bool { return name != asked && messages.Nothing(raw) })
	for _, name := range slices.Sorted(maps.Keys(body)) {
		raw := body[name]
		var err error
		switch {
		case name == asked:
			err = o.setAsked(row, "body."+name, raw, body["instructions"])
		case name == "instructions" && api == ResponsesAPI: // goes with the input
		case name == "user":
			if row.Chat.UserID == "" {
				row.Chat.UserID, err = messages.StringOf(raw)
			}
		case name == "metadata":
			if row.Chat.MetaData == nil {
				row.Chat.MetaData, err = stringsOf(raw)
			}
		case name == "n" && string(raw) == "1", slices.Contains(plainText, name) && isPlainText(raw):
		case slices.Contains(leftToTheBot, name):
			if name == "model" {
				row.Request.Model, _ = messages.StringOf(raw) // as it is asked for, for the response
			}
			row.ignored = append(row.ignored, name)
		default:
			o.cannotAsk(row, "body."+name)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("body.%s: %v", name, err))
		}
	}
	if _, there := body[asked]; !there {
		wrong = append(wrong, "body."+asked+": missing")
	}
	return wrong
}

// plainText are the fields that ask for an answer in a form, text or another.
var plainText = []string{"response_format", "text", "modalities", "tool_choice"}

// isPlainText reports whether such a field asks for text, the form of a bot's answers.
func isPlainText(raw json.RawMessage) bool {
	return slices.Contains([]string{`["text"]`, `"auto"`, `"none"`}, string(raw)) || messages.IsText(raw)
}

// cannotAsk notes a field that a bot does not support.
func (o *openAI) cannotAsk(row *Row, field string) {
	if o.unsupported == UnsupportedDrop {
		row.dropped = append(row.dropped, field)
	} else {
		row.unsupported = with(row.unsupported, field)
	}
}

// setAsked makes the row's messages of those in the field called name. A text alone is the user's.
func (o *openAI) setAsked(row *Row, name string, raw, instructions json.RawMessage) (err error) {
	reader := messages.Reader{System: o.system, Unsupported: func(_ int, field string) {
		if field == "" {
			o.cannotAsk(row, name+": an answer behind the question")
		} else {
			o.cannotAsk(row, name+"[]."+field)
		}
	}}
	row.Chat.AdditionalMessages, err = reader.Read(raw, instructions, name == "body.input")
	return err
}
