package cozetest

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/coze"
)

// file is an uploaded file. Its content is only counted: Coze has no call that reads it.
type file struct {
	id, name  string
	bytes     int64
	createdAt int64
}

func (f *file) append(dst []byte) []byte {
	dst = appendString(append(dst, `,"data":{"id":`...), f.id)
	dst = strconv.AppendInt(append(dst, `,"bytes":`...), f.bytes, 10)
	dst = strconv.AppendInt(append(dst, `,"created_at":`...), f.createdAt, 10)
	dst = appendString(append(dst, `,"file_name":`...), f.name)
	return append(dst, '}')
}

const onUpload = "upload"

// uploadFile is documented at developer_guides/upload_files.
func (x *exchange) uploadFile() {
	got, r := x.readFile()
	x.entry.FileName = got.name
	if r != nil {
		x.refuse(r.at(http.StatusBadRequest))
		return
	}
	if !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	got.id, got.createdAt = f.id(), f.cfg.now().Unix()
	f.files[got.id] = got
	f.mu.Unlock()
	x.reply(got.append)
}

func (x *exchange) readFile() (got file, r *refusal) {
	form, err := x.r.MultipartReader()
	if err != nil {
		return got, refuse(codeNoFile, "the body is no multipart form")
	}
	for {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF) && got.name == "":
			return got, refuse(codeNoFile, "the form has no part file with a name")
		case errors.Is(err, io.EOF):
			return got, nil
		case err != nil:
			return got, refuse(codeNoFile, "the form ended early")
		case part.FormName() != "file":
			continue
		case got.name != "":
			return got, refuse(codeManyFiles, "the form has several files")
		}
		if got.name, got.bytes, r = readPart(part); r != nil {
			return got, r
		}
	}
}

func readPart(part *multipart.Part) (name string, size int64, r *refusal) {
	name = part.FileName()
	head := make([]byte, 512)
	n, err := io.ReadFull(part, head)
	size = int64(n)
	if err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, io.LimitReader(part, coze.MaxFile))
		size += rest
	}
	typ, known := coze.FileType(name)
	switch {
	case size == 0:
		return name, 0, refuse(codeNoFile, "the file is empty")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return name, 0, refuse(codeNoFile, "the form ended early")
	case size > coze.MaxFile:
		return name, 0, refuse(codeLargeFile, "the file is over 512 MB")
	case !known:
		return name, 0, refuse(codeFileType, "files of this type are not supported: "+path.Ext(name))
	case typ == "image" && strings.HasPrefix(http.DetectContentType(head[:n]), "text/"):
		return name, 0, refuse(codeBrokenFile, "the file is no image")
	}
	return name, size, nil
}

// names are the names of the uploaded files in a chat's last message. The caller holds mu.
func (f *Fake) names(body *chatBody) (names []string) {
	if len(body.Messages) == 0 {
		return nil
	}
	var parts []struct {
		ID string `json:"file_id"`
	}
	m := body.Messages[len(body.Messages)-1]
	if m.ContentType != "object_string" || json.Unmarshal([]byte(m.Content), &parts) != nil {
		return nil
	}
	for _, p := range parts {
		if file, ok := f.files[p.ID]; ok {
			names = append(names, file.name)
		}
	}
	return names
}

func (x *exchange) retrieveFile() {
	id := x.r.URL.Query().Get("file_id")
	if !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	got, ok := f.files[id]
	f.mu.Unlock()
	if !ok {
		x.refuse(refuse(codeResource, "").at(http.StatusNotFound))
		return
	}
	x.reply(got.append)
}
