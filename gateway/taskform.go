package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/messages"
)

const formType = "multipart/form-data"

// The parts of a form: one task, and files in any number. All of it is bounded as any body: see Config.MaxBody.
const (
	partTask  = "task"
	partFile  = "file"
	partImage = "image"
)

// mostParts bounds the files of a question.
const mostParts = 32

func isForm(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media == formType
}

func formSchema(task *huma.Schema) *huma.Schema {
	files := &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	return &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{partTask: task, partFile: files, partImage: files}, Required: []string{partTask}}
}

type formFile struct {
	part, name, kind string
	content          []byte
}

// submitForm submits a question with files. They are uploaded when all else is known to be right, and before the task is there: who
// dies in between has asked nothing, and the same request again finds them by their content.
func (g *Gateway) submitForm(ctx context.Context, body []byte, contentType string, schema *huma.Schema, idempotencyKey string, wait time.Duration) (*reply, error) {
	task, files, err := readForm(body, contentType)
	if err != nil {
		return nil, err
	}
	if depth(task) > maxDepth {
		return nil, fault(http.StatusBadRequest, "the part %s is nested deeper than %d", partTask, maxDepth)
	}
	t, err := g.decode(task, partTask, schema)
	if err != nil {
		return nil, err
	}
	r, err := t.request(g.BotID)
	if err == nil {
		err = g.submit.Allow(apikey.FromContext(ctx), r.Chat, r.Options.Queue)
	}
	if err == nil {
		err = r.Chat.Validate()
	}
	switch {
	case err != nil:
		return nil, err
	case len(files) > 0 && t.Question == "":
		return nil, fault(http.StatusUnprocessableEntity, "files go with question, not with additional_messages: send the text as question")
	case len(files) > 0 && g.Upload == nil:
		return nil, fault(http.StatusUnprocessableEntity, "this server cannot upload files: give a URL of each in additional_messages, as object_string")
	}
	var attached []messages.File
	for _, f := range files {
		id, err := g.Upload(ctx, r.Chat.Credential, f.name, f.content)
		if err != nil {
			return nil, uploadProblem(f.part, err)
		}
		attached = append(attached, messages.File{Kind: f.kind, ID: id})
	}
	if len(attached) > 0 {
		r.Chat.AdditionalMessages[0] = messages.Question(t.Question, attached)
	}
	return g.submitOne(ctx, t, r, idempotencyKey, wait)
}

// readForm takes a form apart and checks its files.
func readForm(body []byte, contentType string) (task []byte, files []formFile, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, nil, fault(http.StatusBadRequest, "Content-Type: multipart/form-data without a boundary: let your HTTP client set it")
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		var content []byte
		if err == nil {
			content, err = io.ReadAll(part)
		}
		if err != nil {
			return nil, nil, fault(http.StatusBadRequest, "the form is damaged or cut short: %v", err)
		}
		switch name := part.FormName(); {
		case name == partTask && task == nil:
			task = content
		case name != partFile && name != partImage:
			return nil, nil, fault(http.StatusUnprocessableEntity, "the form has the part %.60q: want one %s with the question as JSON, and files as %s or %s", name, partTask, partFile, partImage)
		case len(files) == mostParts:
			return nil, nil, fault(http.StatusUnprocessableEntity, "the form has more than %d files", mostParts)
		default:
			f := formFile{part: name, name: path.Base(strings.ReplaceAll(part.FileName(), `\`, "/")), content: content}
			known := false
			if f.kind, known = coze.FileType(f.name); !known {
				return nil, nil, fault(http.StatusUnprocessableEntity, "%s: %.100q: Coze takes no files of this type; the extension says it", f.part, f.name)
			}
			if f.part == partImage && f.kind != messages.Image {
				return nil, nil, fault(http.StatusUnprocessableEntity, "%s: %.100q is no image: send it as %s", f.part, f.name, partFile)
			}
			files = append(files, f)
		}
	}
	if task == nil {
		return nil, nil, fault(http.StatusUnprocessableEntity, "the form has no part %s with the question as JSON", partTask)
	}
	return task, files, nil
}

// uploadProblem is an error of an upload: of the file, or one of Coze's that concerns all of them.
func uploadProblem(part string, err error) error {
	if errors.As(err, new(*attachment.FileError)) {
		return fault(http.StatusUnprocessableEntity, "%s: %v", part, err)
	}
	if e, ok := errors.AsType[*coze.Error](err); ok {
		p := fault(http.StatusServiceUnavailable, "%s: the upload to Coze failed: %s. %s", part, e.Message, e.Hint())
		p.retryAfter = max(e.RetryAfter, time.Second)
		return p
	}
	return err
}
