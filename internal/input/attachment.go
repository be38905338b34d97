package input

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/tasks"
)

// attachment is a file of a question, with the row's field that names it.
type attachment struct {
	field string
	path  string // of a file of this machine, which gets its ID when it is uploaded; "": it is Coze's, or anywhere
	param string // the parameter of a workflow's run that it is; "": it goes with the question
	list  bool   // that parameter is a list
	messages.File
}

// attachmentsOf reads a field that names files: a string with one or several, or an array of strings. URLs and ids are
// separated by white space; paths, which may have spaces, by semicolons or new lines.
func attachmentsOf(field string, raw json.RawMessage) ([]attachment, error) {
	var names []string
	if messages.Kind(raw) == "an array" {
		if err := json.Unmarshal(raw, &names); err != nil {
			return nil, errors.New("want an array of strings")
		}
	} else {
		text, err := messages.StringOf(raw)
		if err != nil {
			return nil, fmt.Errorf("want a string or an array of strings, not %s", messages.Kind(raw))
		}
		names = strings.FieldsFunc(text, func(r rune) bool {
			return r == '\n' || r == ';' && isPath(field) || unicode.IsSpace(r) && !isPath(field)
		})
	}
	all := make([]attachment, 0, len(names))
	for _, name := range names {
		if name = strings.TrimSpace(name); name == "" && isPath(field) {
			continue
		}
		a, err := newAttachment(field, name)
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
	case fieldFile, fieldImage:
		a.path = name
	default:
		a.File, err = messages.ByURL("", name)
	}
	return a, err
}

func isPath(field string) bool { return field == fieldFile || field == fieldImage }

// locate finds and checks a file of this machine. A relative path begins where the input is.
func (r *reader) locate(a *attachment) error {
	if a.path == "" {
		return nil
	}
	a.Kind, a.ID = messages.Document, notUploaded
	if r.options.CheckFile == nil && a.param != "" {
		return fmt.Errorf("%.80q is a path of your machine, which the server does not see: use cozeq batch submit there, or give a URL", a.path)
	}
	if r.options.CheckFile == nil {
		return fmt.Errorf("%.80q is a path of your machine, which the server does not see: use cozeq batch submit there, or give %s_url or %[2]s_id", a.path, a.field)
	}
	if !filepath.IsAbs(a.path) {
		a.path = filepath.Join(r.file.dir(), a.path)
	}
	if err := r.options.CheckFile(a.path); err != nil {
		return err
	}
	if a.Kind, _ = coze.FileType(a.path); a.field == fieldImage && a.Kind != messages.Image {
		return fmt.Errorf("%s is no image: give it as %s", a.path, fieldFile)
	}
	return nil
}

// notUploaded stands for the id until there is one.
const notUploaded = "not uploaded yet"

// Paths are the files of this machine that go with the question, in its order. They are uploaded before it is asked.
func (r *Row) Paths() (paths []string) {
	for _, a := range r.attachments {
		if a.path != "" {
			paths = append(paths, a.path)
		}
	}
	return paths
}

// ChatWith is the row's chat with the ids of its uploaded files, one for each of Paths.
func (r *Row) ChatWith(ids []string) *tasks.Chat {
	attachments := slices.Clone(r.attachments)
	for i := range attachments {
		if attachments[i].path != "" {
			attachments[i].ID, ids = ids[0], ids[1:]
		}
	}
	chat := *r.Chat
	if chat.IsWorkflow() {
		chat.Parameters = withFiles(chat.Parameters, attachments)
	} else {
		chat.AdditionalMessages = []tasks.Message{questionWith(*r.question, attachments)}
	}
	return &chat
}

// Upload uploads the files of Paths, one after the other, and puts their ids into the chat. upload returns the id of a file;
// digest is that of its content, "" if nobody has read it yet.
func (r *Row) Upload(ctx context.Context, upload func(ctx context.Context, path, digest string) (id string, err error)) error {
	paths := r.Paths()
	ids := make([]string, len(paths))
	for i, path := range paths {
		digest := ""
		if r.Digests != nil {
			digest = r.Digests[i]
		}
		var err error
		if ids[i], err = upload(ctx, path, digest); err != nil {
			return err
		}
	}
	if len(paths) > 0 {
		r.Chat = r.ChatWith(ids)
	}
	return nil
}

// Images are images that Coze can reach: URLs, or ids of uploaded files.
func Images(names []string) (files []messages.File, err error) {
	for _, name := range names {
		field := fieldImageID
		if strings.Contains(name, "/") {
			field = fieldImageURL
		}
		a, err := newAttachment(field, name)
		if err != nil {
			return nil, err
		}
		files = append(files, a.File)
	}
	return files, nil
}

func questionWith(text string, attachments []attachment) tasks.Message {
	var files []messages.File
	for _, a := range attachments {
		files = append(files, a.File)
	}
	return messages.Question(text, files)
}
