package batch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/tasks"
)

// A row of the shape of OpenAI's batches is a request to its API:
//
//	{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"...","messages":[{"role":"user","content":"hello"}]}}
//
// Its messages are asked. What in its body only tunes a model is left to the bot, whose model has its own settings.
// What changes what is asked for, and cannot be asked of a bot, makes the row wrong.

// isRequest reports whether the row has that shape.
func isRequest(fields map[string]json.RawMessage) bool {
	raw, there := fields["body"]
	return there && kind(raw) == "an object"
}

// leftToTheBot are the settings of a model.
var leftToTheBot = []string{
	"model", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty",
	"repetition_penalty", "seed", "stop", "logit_bias", "logprobs", "top_logprobs", "reasoning_effort", "verbosity",
	"service_tier", "store", "stream", "stream_options", "prompt_cache_key", "safety_identifier", "parallel_tool_calls",
}

// parseRequest fills the row from a request and returns everything that is wrong with it.
func (in *Input) parseRequest(fields map[string]json.RawMessage, row *Row) (wrong []string) {
	if in.prompt != nil {
		return []string{"body and a prompt: give one of the two"}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		if kind(raw) == kindNull {
			continue
		}
		var err error
		switch meant := in.meant(name); meant {
		case "body":
		case "method":
			if method, _ := stringOf(raw); !strings.EqualFold(method, "POST") {
				err = fmt.Errorf("method: %s, want POST", raw)
			}
		case "url":
			if url, _ := stringOf(raw); !strings.HasSuffix(url, "/chat/completions") {
				err = fmt.Errorf("url: %s, want /v1/chat/completions: nothing else can be asked of a bot", raw)
			}
		case fieldQuestion, fieldMessages, fieldFileURL, fieldFileID, fieldImageURL, fieldImageID:
			err = fmt.Errorf("%s and body: give one of the two", name)
		default:
			err = in.setMeant(row, name, raw)
		}
		if err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return append(wrong, in.parseBody(fields["body"], row)...)
}

func (in *Input) parseBody(raw json.RawMessage, row *Row) (wrong []string) {
	body, err := objectOf(raw, "an object")
	if err != nil {
		return []string{"body: " + err.Error()}
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		raw := body[name]
		if kind(raw) == kindNull {
			continue
		}
		var err error
		switch {
		case name == "messages":
			row.Chat.AdditionalMessages, err = in.requestMessages(raw)
		case name == "user":
			if row.Chat.UserID == "" {
				row.Chat.UserID, err = stringOf(raw)
			}
		case name == "metadata":
			if row.Chat.MetaData == nil {
				row.Chat.MetaData, err = stringsOf(raw)
			}
		case name == "n" && string(raw) == "1":
		case slices.Contains(leftToTheBot, name):
			row.ignored = append(row.ignored, name)
		default:
			err = errors.New("a bot cannot be asked for it: take it out")
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("body.%s: %v", name, err))
		}
	}
	if _, there := body["messages"]; !there {
		wrong = append(wrong, "body.messages: missing")
	}
	return wrong
}

// requestMessages makes messages of those of a request.
func (in *Input) requestMessages(raw json.RawMessage) ([]tasks.Message, error) {
	var all []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("want an array of {role, content}, not %s", kind(raw))
	}
	var messages []tasks.Message
	var system []string
	for i, fields := range all {
		m, err := in.requestMessage(fields)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		switch {
		case m.Role != roleSystem:
			messages = append(messages, m)
		case in.options.System == SystemPrepend:
			system = append(system, m.Content)
		}
	}
	if len(messages) == 0 {
		return nil, errors.New("there is no question in it")
	}
	return messages, prepend(system, messages)
}

const (
	roleUser      = "user"
	roleAssistant = "assistant"
	roleSystem    = "system"
)

func (in *Input) requestMessage(fields map[string]json.RawMessage) (m tasks.Message, err error) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		empty := kind(fields[name]) == kindNull || string(fields[name]) == "[]"
		if name != "role" && name != "content" && !empty {
			return m, fmt.Errorf("%s: Coze has nothing of the kind: take it out", name)
		}
	}
	role, err := stringOf(fields["role"])
	if err != nil {
		return m, fmt.Errorf("role: %w", err)
	}
	switch role {
	case roleUser:
		m.Role, m.Type = roleUser, "question"
	case roleAssistant:
		m.Role, m.Type = roleAssistant, "answer"
	case roleSystem, "developer":
		if in.options.System == "" || in.options.System == SystemRefuse {
			return m, fmt.Errorf("role: Coze has no %s messages: put its text into the bot's own prompt and say --system %s, or have it before the question with --system %s", role, SystemDrop, SystemPrepend)
		}
		m.Role = roleSystem
	default:
		return m, fmt.Errorf("role: %q, want %s or %s", role, roleUser, roleAssistant)
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
		Type  string `json:"type"`
		Text  string `json:"text"`
		Image struct {
			URL string `json:"url"`
		} `json:"image_url"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", "", errors.New(`want a string or an array of {"type":"text","text"} and {"type":"image_url","image_url":{"url"}}`)
	}
	var texts []string
	var pictures []attachment
	for i, part := range parts {
		switch part.Type {
		case "text":
			texts = append(texts, part.Text)
		case "image_url":
			if strings.HasPrefix(part.Image.URL, "data:") {
				return "", "", fmt.Errorf("[%d]: a picture as data: upload it to Coze and give its id as an object_string, or a URL of it", i)
			}
			a, err := newAttachment(fieldImageURL, part.Image.URL)
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
	case blank(text):
		return "", "", errors.New("pictures only: Coze wants a text beside them")
	}
	return objectString(text, pictures), "object_string", nil
}

// prepend puts the system's texts before the first message of the user, with an empty line between.
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
		raw, err := marshal(objects)
		m.Content = string(raw)
		return err
	}
	return errors.New("no message of the user that the system's could go before")
}
