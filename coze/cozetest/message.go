package cozetest

import (
	"encoding/json"
	"strconv"
	"strings"
)

// storedMessage is one of a conversation, or one that a chat produced.
type storedMessage struct {
	id, conversationID, botID, chatID, sectionID string
	role, kind                                   string
	content, contentType                         string
	meta                                         map[string]string
	createdAt                                    int64
}

// head appends a message up to its content, with the opening quote of the
// content left to the caller: deltas share it.
func (m *storedMessage) head(dst []byte) []byte {
	dst = appendString(append(dst, `{"id":`...), m.id)
	dst = appendString(append(dst, `,"conversation_id":`...), m.conversationID)
	dst = appendString(append(dst, `,"bot_id":`...), m.botID)
	dst = appendString(append(dst, `,"role":`...), m.role)
	return appendString(append(dst, `,"type":`...), m.kind)
}

// tail appends what follows the content, without the closing brace.
func (m *storedMessage) tail(dst []byte) []byte {
	dst = appendString(append(dst, `,"content_type":`...), m.contentType)
	dst = appendString(append(dst, `,"chat_id":`...), m.chatID)
	return appendString(append(dst, `,"section_id":`...), m.sectionID)
}

// append is the message as an event carries it.
func (m *storedMessage) append(dst []byte) []byte {
	dst = append(m.head(dst), `,"content":`...)
	dst = m.tail(appendString(dst, m.content))
	return append(dst, '}')
}

// appendStored is the message as lists and message/create carry it:
// updated_at is a string beside a number, as with Coze.
func (m *storedMessage) appendStored(dst []byte) []byte {
	dst = m.append(dst)
	dst = append(dst[:len(dst)-1], `,"meta_data":`...)
	dst = append(appendMeta(dst, m.meta), `,"created_at":`...)
	dst = strconv.AppendInt(dst, m.createdAt, 10)
	dst = strconv.AppendInt(append(dst, `,"updated_at":"`...), m.createdAt, 10)
	return append(dst, `"}`...)
}

func appendMessages(dst []byte, all []storedMessage) []byte {
	dst = append(dst, '[')
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = all[i].appendStored(dst)
	}
	return append(dst, ']')
}

// enterMessage is a message as callers send it. Content is a string even when
// it holds the JSON of an object_string.
type enterMessage struct {
	Role        string            `json:"role"`
	Type        string            `json:"type"`
	Content     string            `json:"content"`
	ContentType string            `json:"content_type"`
	MetaData    map[string]string `json:"meta_data"`
}

func (m *enterMessage) check() *refusal {
	switch {
	case m.Role != "user" && m.Role != "assistant":
		return refuse(codeParameter, "role must be user or assistant")
	case m.ContentType != "text" && m.ContentType != "object_string":
		return refuse(codeParameter, "content_type must be text or object_string")
	case m.Content == "":
		return refuse(codeParameter, "content is required")
	case m.Type == "question" && m.Role != "user":
		return refuse(codeParameter, "type question needs role user")
	case m.ContentType == "object_string" && !json.Valid([]byte(m.Content)):
		return refuse(codeParameter, "content of an object_string must be a JSON array")
	}
	return checkMeta(m.MetaData)
}

// checkMeta holds meta_data to Coze's limits, counted in characters.
func checkMeta(meta map[string]string) *refusal {
	if len(meta) > 16 {
		return refuse(codeMetaData, "meta_data has more than 16 pairs")
	}
	for k, v := range meta {
		if n := len([]rune(k)); n < 1 || n > 64 {
			return refuse(codeMetaData, "a key of meta_data is not 1 to 64 characters long")
		}
		if n := len([]rune(v)); n < 1 || n > 512 {
			return refuse(codeMetaData, "a value of meta_data is not 1 to 512 characters long")
		}
	}
	return nil
}

func (m *enterMessage) text() string { return readable(m.Content, m.ContentType) }

func readable(content, contentType string) string {
	if contentType != "object_string" {
		return content
	}
	var parts []struct{ Type, Text string }
	if json.Unmarshal([]byte(content), &parts) != nil {
		return content
	}
	var texts []string
	for _, p := range parts {
		if p.Type == "text" {
			texts = append(texts, p.Text)
		}
	}
	return strings.Join(texts, "\n")
}
