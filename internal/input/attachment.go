package input

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/tasks"
)

// attachment is a file of a question: one that Coze fetches, or one that was uploaded to it.
type attachment struct {
	field string // the row's field that names it
	kind  string // image, audio or file, in Coze's words
	url   string
	id    string
}

const (
	kindImage = "image"
	kindAudio = "audio"
	kindFile  = "file"
)

// kinds are those of the extensions of a file_url.
var kinds = map[string]string{
	".png": kindImage, ".jpg": kindImage, ".jpeg": kindImage, ".gif": kindImage, ".webp": kindImage, ".bmp": kindImage,
	".heic": kindImage, ".heif": kindImage, ".tif": kindImage, ".tiff": kindImage,
	".mp3": kindAudio, ".wav": kindAudio, ".m4a": kindAudio, ".aac": kindAudio, ".ogg": kindAudio, ".flac": kindAudio, ".amr": kindAudio,
}

// attachmentsOf reads a field that names files: a string with one or several, separated by white space, or an array of
// strings.
func attachmentsOf(field string, raw json.RawMessage) ([]attachment, error) {
	var names []string
	if kind(raw) == "an array" {
		if err := json.Unmarshal(raw, &names); err != nil {
			return nil, errors.New("want an array of strings")
		}
	} else {
		text, err := stringOf(raw)
		if err != nil {
			return nil, fmt.Errorf("want a string or an array of strings, not %s", kind(raw))
		}
		names = strings.Fields(text)
	}
	all := make([]attachment, 0, len(names))
	for _, name := range names {
		a, err := newAttachment(field, strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func newAttachment(field, name string) (attachment, error) {
	a := attachment{field: field, kind: kindFile}
	if field == fieldImageURL || field == fieldImageID {
		a.kind = kindImage
	}
	if field == fieldFileID || field == fieldImageID {
		if name == "" || strings.Contains(name, "/") {
			return a, fmt.Errorf("%q is not the id of a file that was uploaded to Coze", name)
		}
		a.id = name
		return a, nil
	}
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return a, fmt.Errorf("%.60q is not a URL that Coze can fetch: want http:// or https://, or upload the file to Coze and give its id as file_id", name)
	}
	if kind, ok := kinds[strings.ToLower(path.Ext(u.Path))]; ok && field == fieldFileURL {
		a.kind = kind
	}
	a.url = name
	return a, nil
}

// QuestionWithImages is a user's question with images: URLs that Coze can fetch, or ids of uploaded files.
func QuestionWithImages(text string, images []string) (tasks.Message, error) {
	var files []attachment
	for _, name := range images {
		field := fieldImageID
		if strings.Contains(name, "/") {
			field = fieldImageURL
		}
		a, err := newAttachment(field, name)
		if err != nil {
			return tasks.Message{}, err
		}
		files = append(files, a)
	}
	return questionWith(text, files), nil
}

// object is an item of a message's object_string.
type object struct {
	Type    string `json:"type"`
	Text    string `json:"text,omitempty"`
	FileID  string `json:"file_id,omitempty"`
	FileURL string `json:"file_url,omitempty"`
}

// questionWith is a user's question with its files.
func questionWith(text string, files []attachment) tasks.Message {
	m := tasks.Question(text)
	if len(files) > 0 {
		m.Content, m.ContentType = objectString(text, files), "object_string"
	}
	return m
}

// objectString is text and files in Coze's format: the text first, once.
func objectString(text string, files []attachment) string {
	var objects []object
	if text != "" {
		objects = append(objects, object{Type: "text", Text: text})
	}
	for _, f := range files {
		objects = append(objects, object{Type: f.kind, FileID: f.id, FileURL: f.url})
	}
	raw, _ := Marshal(objects) // strings always marshal
	return string(raw)
}

// messageText is a message's text without its files.
func messageText(m *tasks.Message) string {
	var objects []object
	if m.ContentType != "object_string" || json.Unmarshal([]byte(m.Content), &objects) != nil {
		return m.Content
	}
	i := slices.IndexFunc(objects, func(o object) bool { return o.Type == "text" })
	if i < 0 {
		return m.Content
	}
	return objects[i].Text
}
