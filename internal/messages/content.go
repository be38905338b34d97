package messages

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/cozeq/cozeq/coze"
)

// part is a part of a message's content. The two APIs write pictures and files differently.
type part struct {
	Type    string          `json:"type"`
	Text    string          `json:"text"`
	Image   json.RawMessage `json:"image_url"` // a string, or an object with the url
	File    source          `json:"file"`
	FileURL string          `json:"file_url"`
	FileID  string          `json:"file_id"`
	Data    string          `json:"file_data"`
	Name    string          `json:"filename"`
	Audio   struct {
		Data   string `json:"data"`
		Format string `json:"format"`
	} `json:"input_audio"`
}

// source is where a file of a part is.
type source struct {
	URL  string `json:"file_url"`
	ID   string `json:"file_id"`
	Data string `json:"file_data"`
	Name string `json:"filename"`
}

func (r *Reader) content(raw json.RawMessage) (text, contentType string, err error) {
	if Kind(raw) != "an array" {
		text, err = StringOf(raw)
		return text, "text", err
	}
	var parts []part
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", "", errors.New(`want a string or an array of {"type":"text","text"} and {"type":"image_url","image_url":{"url"}}`)
	}
	var texts []string
	var files []File
	for i, p := range parts {
		var file File
		switch p.Type {
		case "text", "input_text", "output_text":
			texts = append(texts, p.Text)
			continue
		case "image_url", "input_image":
			file, err = r.picture(&p)
		case "file":
			file, err = r.file(p.File)
		case "input_file":
			file, err = r.file(source{p.FileURL, p.FileID, p.Data, p.Name})
		case "input_audio":
			file, err = r.data("audio."+p.Audio.Format, p.Audio.Data)
		default:
			err = fmt.Errorf("type %q, want text or image_url", p.Type)
		}
		if err != nil {
			return "", "", at(fmt.Sprintf("[%d]", i), err)
		}
		files = append(files, file)
	}
	text = strings.Join(texts, "\n")
	switch {
	case len(files) == 0:
		return text, "text", nil
	case strings.TrimSpace(text) == "":
		return "", "", errors.New("pictures only: Coze wants a text beside them")
	}
	return objectString(text, files), "object_string", nil
}

// picture is the file of a picture: a string in one of the APIs, an object with the url in the other.
func (r *Reader) picture(p *part) (File, error) {
	url, err := StringOf(p.Image)
	if err != nil {
		var image struct {
			URL string `json:"url"`
		}
		switch {
		case json.Unmarshal(p.Image, &image) == nil && image.URL != "":
			url = image.URL
		case numeric(p.FileID):
			return ByID(Image, p.FileID)
		default:
			return File{}, errors.New("a picture without image_url: a file that was uploaded to OpenAI is not there for Coze")
		}
	}
	if strings.HasPrefix(url, "data:") {
		return r.dataURL("", url)
	}
	return ByURL(Image, url)
}

func (r *Reader) file(s source) (File, error) {
	switch {
	case strings.HasPrefix(s.URL, "data:"):
		return r.dataURL(s.Name, s.URL)
	case strings.HasPrefix(s.Data, "data:"):
		return r.dataURL(s.Name, s.Data)
	case s.URL != "":
		return ByURL("", s.URL)
	case numeric(s.ID):
		return ByID(Document, s.ID)
	case s.ID != "":
		return File{}, fmt.Errorf("file_id %.60q is not of a file at Coze: upload it to Coze and give its id, or give a URL of it as file_url", s.ID)
	case s.Data != "":
		return r.data(s.Name, s.Data)
	}
	return File{}, errors.New("a file without file_url, which is an extension of Coze's: give a URL that Coze can fetch")
}

// dataURL uploads what a data URL has. Its media type names the extension unless name has one.
func (r *Reader) dataURL(name, url string) (File, error) {
	head, data, ok := strings.Cut(strings.TrimPrefix(url, "data:"), ",")
	kind, encoding, _ := strings.Cut(head, ";")
	if !ok || !strings.HasSuffix(";"+encoding, ";base64") {
		return File{}, errors.New("a data URL that is not data:TYPE;base64,DATA")
	}
	if path.Ext(name) == "" {
		_, sub, _ := strings.Cut(kind, "/")
		name = cmp.Or(name, "file") + "." + sub
	}
	return r.data(name, data)
}

func (r *Reader) data(name, text string) (File, error) {
	if r.Upload == nil {
		return File{}, errors.New("content as data cannot be uploaded from here: upload it to Coze and give its id as file_id, or give a URL of it")
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return File{}, errors.New("data that is not base64")
	}
	kind, known := coze.FileType(name)
	if !known {
		return File{}, fmt.Errorf("%.80q: Coze takes no files of this type", name)
	}
	id, err := r.Upload(name, content)
	return File{Kind: kind, ID: id}, err
}

func numeric(id string) bool { return id != "" && strings.Trim(id, "0123456789") == "" }
