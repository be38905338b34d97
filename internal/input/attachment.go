package input

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/tasks"
)

// attachment is a file of a question, with the row's field that names it.
type attachment struct {
	field string
	messages.File
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

func newAttachment(field, name string) (a attachment, err error) {
	a.field = field
	switch field {
	case fieldFileID:
		a.File, err = messages.ByID(messages.Document, name)
	case fieldImageID:
		a.File, err = messages.ByID(messages.Image, name)
	case fieldImageURL:
		a.File, err = messages.ByURL(messages.Image, name)
	default:
		a.File, err = messages.ByURL("", name)
	}
	return a, err
}

// QuestionWithImages is a user's question with images: URLs that Coze can fetch, or ids of uploaded files.
func QuestionWithImages(text string, images []string) (tasks.Message, error) {
	var files []messages.File
	for _, name := range images {
		field := fieldImageID
		if strings.Contains(name, "/") {
			field = fieldImageURL
		}
		a, err := newAttachment(field, name)
		if err != nil {
			return tasks.Message{}, err
		}
		files = append(files, a.File)
	}
	return messages.Question(text, files), nil
}

// questionWith is a user's question with its files.
func questionWith(text string, attachments []attachment) tasks.Message {
	var files []messages.File
	for _, a := range attachments {
		files = append(files, a.File)
	}
	return messages.Question(text, files)
}
