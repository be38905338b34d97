package input

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/tasks"
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
}

// isRequest reports whether the row has that format.
func isRequest(fields map[string]json.RawMessage) bool {
	raw, there := fields["body"]
	return there && kind(raw) == "an object"
}

// The ends of the URLs of the two APIs.
const (
	chatAPI      = "/chat/completions"
	ResponsesAPI = "/responses"
)

// apiOf is the API that a request is for. Without a URL its body decides.
func apiOf(fields map[string]json.RawMessage) (string, error) {
	raw := fields["url"]
	if kind(raw) != "a string" {
		var body struct {
			Messages json.RawMessage `json:"messages"`
			Input    json.RawMessage `json:"input"`
		}
		if err := json.Unmarshal(fields["body"], &body); err == nil && body.Input != nil && body.Messages == nil {
			return ResponsesAPI, nil
		}
		return chatAPI, nil
	}
	url, _ := stringOf(raw)
	for _, api := range []string{chatAPI, ResponsesAPI} {
		if strings.HasSuffix(url, api) {
			return api, nil
		}
	}
	return "", fmt.Errorf("url: %s, want /v1/chat/completions or /v1/responses: nothing else can be asked of a bot", raw)
}

// leftToTheBot are the settings of a model.
var leftToTheBot = []string{
	"model", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens", "frequency_penalty",
	"presence_penalty", "repetition_penalty", "seed", "stop", "logit_bias", "logprobs", "top_logprobs", "reasoning_effort",
	"reasoning", "verbosity", "truncation", "service_tier", "store", "background", "stream", "stream_options", "include",
	"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "parallel_tool_calls", "max_tool_calls",
}

// parseRequest fills the row from a request and returns all its errors.
func (in *Input) parseRequest(fields map[string]json.RawMessage, row *Row) (wrong []string) {
	if in.prompt != nil {
		return []string{"body and a prompt: give one of the two"}
	}
	api, err := apiOf(fields)
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		if kind(raw) == kindNull {
			continue
		}
		var err error
		switch meant := in.meant(name); meant {
		case "body", "url":
		case "method":
			if method, _ := stringOf(raw); !strings.EqualFold(method, "POST") {
				err = fmt.Errorf("method: %s, want POST", raw)
			}
		case FieldQuestion, fieldMessages, fieldFileURL, fieldFileID, fieldImageURL, fieldImageID:
			err = fmt.Errorf("%s and body: give one of the two", name)
		default:
			err = in.setMeant(row, name, raw)
		}
		if err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	row.Request = &Request{API: api}
	return append(wrong, in.parseBody(fields["body"], api, row)...)
}

func (in *Input) parseBody(raw json.RawMessage, api string, row *Row) (wrong []string) {
	body, err := objectOf(raw, "an object")
	if err != nil {
		return []string{"body: " + err.Error()}
	}
	asked := "messages"
	if api == ResponsesAPI {
		asked = "input"
	}
	maps.DeleteFunc(body, func(name string, raw json.RawMessage) bool { return name != asked && isNothing(raw) })
	for _, name := range slices.Sorted(maps.Keys(body)) {
		raw := body[name]
		var err error
		switch {
		case name == asked:
			err = in.setAsked(row, "body."+name, raw, body["instructions"])
		case name == "instructions" && api == ResponsesAPI: // goes with the input
		case name == "user":
			if row.Chat.UserID == "" {
				row.Chat.UserID, err = stringOf(raw)
			}
		case name == "metadata":
			if row.Chat.MetaData == nil {
				row.Chat.MetaData, err = stringsOf(raw)
			}
		case name == "n" && string(raw) == "1", slices.Contains(plainText, name) && isPlainText(raw):
		case slices.Contains(leftToTheBot, name):
			if name == "model" {
				row.Request.Model, _ = stringOf(raw) // as it is asked for, for the response
			}
			row.ignored = append(row.ignored, name)
		default:
			in.cannotAsk(row, "body."+name)
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

// isNothing reports whether a field is the same as a missing one.
func isNothing(raw json.RawMessage) bool {
	return kind(raw) == kindNull || string(raw) == "[]" || string(raw) == "{}"
}

// plainText are the fields that ask for an answer in a form, text or another.
var plainText = []string{"response_format", "text", "modalities", "tool_choice"}

// isPlainText reports whether such a field asks for text, the form of a bot's answers.
func isPlainText(raw json.RawMessage) bool {
	switch string(raw) {
	case `["text"]`, `"auto"`, `"none"`:
		return true
	}
	var form struct {
		Type   string `json:"type"`
		Format struct {
			Type string `json:"type"`
		} `json:"format"`
	}
	if json.Unmarshal(raw, &form) != nil {
		return false
	}
	kind := cmp.Or(form.Type, form.Format.Type, "text")
	return kind == "text"
}

// cannotAsk notes a field that a bot does not support.
func (in *Input) cannotAsk(row *Row, field string) {
	if in.options.Unsupported == UnsupportedDrop {
		row.dropped = append(row.dropped, field)
	} else {
		row.unsupported = with(row.unsupported, field)
	}
}

// setAsked makes the row's messages of those in the field called name. A text alone is the user's.
func (in *Input) setAsked(row *Row, name string, raw, instructions json.RawMessage) (err error) {
	var system []string
	if instructions != nil {
		text, err := stringOf(instructions)
		if err == nil {
			err = in.wantSystem("instructions", "instructions")
		}
		if err != nil {
			return err
		}
		system = append(system, text)
	}
	if text, err := stringOf(raw); err == nil && name == "body.input" {
		row.Chat.AdditionalMessages = []tasks.Message{tasks.Question(text)}
	} else if row.Chat.AdditionalMessages, system, err = in.requestMessages(row, name, raw, system); err != nil {
		return err
	}
	if in.options.System != SystemPrepend {
		return nil
	}
	return prepend(system, row.Chat.AdditionalMessages)
}

// requestMessages converts the messages of a request. The texts of system messages are appended to system instead.
func (in *Input) requestMessages(row *Row, name string, raw json.RawMessage, system []string) ([]tasks.Message, []string, error) {
	var all []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, nil, fmt.Errorf("want an array of {role, content}, not %s", kind(raw))
	}
	var messages []tasks.Message
	for i, fields := range all {
		m, err := in.requestMessage(row, name, fields)
		if err != nil {
			return nil, nil, fmt.Errorf("[%d]: %w", i, err)
		}
		if m.Role == roleSystem {
			system = append(system, m.Content)
		} else {
			messages = append(messages, m)
		}
	}
	// A data set ends with the expected answer.
	for n := len(messages); n > 1 && messages[n-1].Role == RoleAssistant; n-- {
		in.cannotAsk(row, name+": an answer behind the question")
		messages = messages[:n-1]
	}
	if len(messages) == 0 {
		return nil, nil, errors.New("there is no question in it")
	}
	return messages, system, nil
}

const (
	roleUser      = "user"
	RoleAssistant = "assistant"
	roleSystem    = "system"
)

// wantSystem is the error of a system message, unless an option says what to do with it.
func (in *Input) wantSystem(field, what string) error {
	if in.options.System == SystemPrepend || in.options.System == SystemDrop {
		return nil
	}
	return fmt.Errorf("%s: Coze has no %s: put its text into the bot's own prompt and say --system %s, or have it before the question with --system %s", field, what, SystemDrop, SystemPrepend)
}

func (in *Input) requestMessage(row *Row, name string, fields map[string]json.RawMessage) (m tasks.Message, err error) {
	item, _ := stringOf(fields["type"])
	if item != "" && item != "message" {
		return m, fmt.Errorf("type: %q, want message", item)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch {
		case key == "role", key == "content", isNothing(fields[key]):
		case item == "message" && (key == "type" || key == "id" || key == "status"): // an item of a response
		default:
			in.cannotAsk(row, name+"[]."+key)
		}
	}
	role, err := stringOf(fields["role"])
	if err != nil {
		return m, fmt.Errorf("role: %w", err)
	}
	switch role {
	case roleUser:
		m.Role, m.Type = roleUser, "question"
	case RoleAssistant:
		m.Role, m.Type = RoleAssistant, "answer"
	case roleSystem, "developer":
		if err := in.wantSystem("role", role+" messages"); err != nil {
			return m, err
		}
		m.Role = roleSystem
	default:
		return m, fmt.Errorf("role: %q, want %s or %s", role, roleUser, RoleAssistant)
	}
	m.Content, m.ContentType, err = requestContent(fields["content"])
	if err != nil {
		return m, fmt.Errorf("content: %w", err)
	}
	if m.ContentType != "text" && m.Role != roleUser {
		return m, fmt.Errorf("content: a picture in a message of %s", m.Role)
	}
	return m, nil
}

// requestContent reads a content: a string, or an array of texts and pictures.
func requestContent(raw json.RawMessage) (content, contentType string, err error) {
	if kind(raw) != "an array" {
		content, err = stringOf(raw)
		return content, "text", err
	}
	var parts []struct {
		Type  string          `json:"type"`
		Text  string          `json:"text"`
		Image json.RawMessage `json:"image_url"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", "", errors.New(`want a string or an array of {"type":"text","text"} and {"type":"image_url","image_url":{"url"}}`)
	}
	var texts []string
	var pictures []attachment
	for i, part := range parts {
		switch part.Type {
		case "text", "input_text", "output_text":
			texts = append(texts, part.Text)
		case "image_url", "input_image":
			a, err := requestPicture(part.Image)
			if err != nil {
				return "", "", fmt.Errorf("[%d]: %w", i, err)
			}
			pictures = append(pictures, a)
		default:
			return "", "", fmt.Errorf("[%d]: type %q, want text or image_url", i, part.Type)
		}
	}
	text := strings.Join(texts, "\n")
	switch {
	case len(pictures) == 0:
		return text, "text", nil
	case Blank(text):
		return "", "", errors.New("pictures only: Coze wants a text beside them")
	}
	return objectString(text, pictures), "object_string", nil
}

// requestPicture reads an image_url: a string in one of the APIs, an object with the url in the other.
func requestPicture(raw json.RawMessage) (attachment, error) {
	url, err := stringOf(raw)
	if err != nil {
		var image struct {
			URL string `json:"url"`
		}
		if json.Unmarshal(raw, &image) != nil || image.URL == "" {
			return attachment{}, errors.New("a picture without image_url: a file that was uploaded to OpenAI is not there for Coze")
		}
		url = image.URL
	}
	if strings.HasPrefix(url, "data:") {
		return attachment{}, errors.New("a picture as data: upload it to Coze and give its id as an object_string, or a URL of it")
	}
	return newAttachment(fieldImageURL, url)
}

// prepend puts the system's texts before the first user message, with an empty line between.
func prepend(system []string, messages []tasks.Message) error {
	if len(system) == 0 {
		return nil
	}
	for i := range messages {
		m := &messages[i]
		if m.Role != roleUser {
			continue
		}
		text := strings.Join(append(system, messageText(m)), "\n\n")
		if m.ContentType == "text" {
			m.Content = text
			return nil
		}
		var objects []object
		if err := json.Unmarshal([]byte(m.Content), &objects); err != nil {
			return err
		}
		objects[0].Text = text
		raw, err := Marshal(objects)
		m.Content = string(raw)
		return err
	}
	return errors.New("no message of the user that the system's could go before")
}
