package messages

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/cozeq/cozeq/tasks"
)

// File is a file of a message: one that Coze fetches, or one that was uploaded to it.
type File struct {
	Kind string // Image, Audio or Document
	URL  string
	ID   string
}

// The kinds of files, in Coze's words.
const (
	Image    = "image"
	Audio    = "audio"
	Document = "file"
)

// kinds are those of the extensions of a URL.
var kinds = map[string]string{
	".png": Image, ".jpg": Image, ".jpeg": Image, ".gif": Image, ".webp": Image, ".bmp": Image,
	".heic": Image, ".heif": Image, ".tif": Image, ".tiff": Image,
	".mp3": Audio, ".wav": Audio, ".m4a": Audio, ".aac": Audio, ".ogg": Audio, ".flac": Audio, ".amr": Audio,
}

// ByURL is a file that Coze fetches. With kind "" the extension decides which kind it is.
func ByURL(kind, name string) (File, error) {
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return File{}, fmt.Errorf("%.60q is not a URL that Coze can fetch: want http:// or https://, or upload the file to Coze and give its id as file_id", name)
	}
	if kind == "" {
		kind = Document
		if known, ok := kinds[strings.ToLower(path.Ext(u.Path))]; ok {
			kind = known
		}
	}
	return File{Kind: kind, URL: name}, nil
}

func ByID(kind, id string) (File, error) {
	if id == "" || strings.Contains(id, "/") {
		return File{}, fmt.Errorf("%q is not the id of a file that was uploaded to Coze", id)
	}
	return File{Kind: kind, ID: id}, nil
}

func Question(text string, files []File) tasks.Message {
	m := tasks.Question(text)
	if len(files) > 0 {
		m.Content, m.ContentType = objectString(text, files), "object_string"
	}
	return m
}

// object is an item of a message's object_string.
type object struct {
	Type    string `json:"type"`
	Text    string `json:"text,omitempty"`
	FileID  string `json:"file_id,omitempty"`
	FileURL string `json:"file_url,omitempty"`
}

// objectString is text and files in Coze's format: the text first, once.
func objectString(text string, files []File) string {
	var objects []object
	if text != "" {
		objects = append(objects, object{Type: "text", Text: text})
	}
	for _, f := range files {
		objects = append(objects, object{Type: f.Kind, FileID: f.ID, FileURL: f.URL})
	}
	raw, _ := Encode(objects) // strings always encode
	return string(raw)
}

func Text(m *tasks.Message) string {
	text, _ := Parts(m)
	return cmp.Or(text, m.Content)
}

func Parts(m *tasks.Message) (text string, files []File) {
	var objects []object
	if m.ContentType != "object_string" || json.Unmarshal([]byte(m.Content), &objects) != nil {
		return m.Content, nil
	}
	for _, o := range objects {
		if o.Type == "text" {
			text = cmp.Or(text, o.Text)
		} else {
			files = append(files, File{Kind: o.Type, URL: o.FileURL, ID: o.FileID})
		}
	}
	return text, files
}
