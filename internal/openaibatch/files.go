package openaibatch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/filestore"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/upload"
	"github.com/cozeq/cozeq/tasks/batches"
)

// purposes are those of files that a client may upload. The others of OpenAI's are for training and evaluating models.
var purposes = []string{purposeBatch, "user_data", "vision", "assistants"}

const (
	purposeBatch  = "batch"
	purposeOutput = "batch_output"
)

// upload takes a file in: to the disk, where it is checked, and then to Redis. So no bytes of a file that is no batch reach
// Redis, and the order of the form's parts does not matter.
func (h *Handler) upload(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	f, err := upload.Receive(r, h.MaxFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	purpose, keep, err := parseUpload(f)
	if err != nil {
		return nil, err
	}
	if purpose == purposeBatch {
		if err := h.check(r.Context(), f); err != nil {
			return nil, explain("file", err)
		}
	}
	if err := h.hasRoom(r.Context(), f.Bytes); err != nil {
		return nil, err
	}
	if err := h.files.Reserve(r.Context(), tenant(r), f.Bytes, h.MaxFiles); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, &upload.DiskError{Err: err}
	}
	kept := h.files.Upload(r.Context(), tenant(r), h.MaxFile)
	defer kept.Abort()
	if _, err := io.Copy(kept, f); err != nil {
		return nil, err
	}
	file, err := kept.Commit(f.Name, purpose, keep)
	if err != nil {
		return nil, err
	}
	return fileObject(file), nil
}

func (h *Handler) check(ctx context.Context, f *upload.File) error {
	head := make([]byte, 2)
	if n, _ := f.ReadAt(head, 0); n == 2 && head[0] == 0x1f && head[1] == 0x8b {
		return openai.Bad("file", "invalid_value", "compressed with gzip: upload it unpacked")
	}
	in, err := h.open(ctx, f, "", "")
	if err != nil {
		return err
	}
	_, err = in.Check(ctx)
	return errors.Join(err, in.Close())
}

func parseUpload(f *upload.File) (purpose string, keep time.Duration, err error) {
	if f.Name == "" {
		return "", 0, openai.Bad("file", "missing_required_parameter", "missing: send a form with the parts file, with a file name, and purpose")
	}
	switch purpose = f.Fields.Get("purpose"); {
	case purpose == "":
		return "", 0, openai.Bad("purpose", "missing_required_parameter", "missing: want one of %s", strings.Join(purposes, ", "))
	case !slices.Contains(purposes, purpose):
		return "", 0, openai.Bad("purpose", "invalid_value", "%.60q: want one of %s", purpose, strings.Join(purposes, ", "))
	}
	const seconds = "expires_after[seconds]"
	if anchor := f.Fields.Get("expires_after[anchor]"); anchor != "" && anchor != "created_at" {
		return "", 0, openai.Bad("expires_after[anchor]", "invalid_value", "%.60q: want created_at", anchor)
	}
	if text := f.Fields.Get(seconds); text != "" {
		n, err := strconv.Atoi(text)
		if keep = time.Duration(n) * time.Second; err != nil || n > int(filestore.MaxKeep/time.Second) || keep < filestore.MinKeep {
			return "", 0, openai.Bad(seconds, "invalid_value", "%.60q: want 3600 to 2592000", text)
		}
	}
	return purpose, keep, nil
}

// hasRoom refuses a file that Redis has no room for: a full Redis would take no questions any more, of anybody.
func (h *Handler) hasRoom(ctx context.Context, size int64) error {
	room, err := h.batches.Room(ctx)
	if err != nil {
		return nil // a Redis that does not tell, and says so itself when it is full
	}
	if h.batches.Encrypts() {
		size = size * 4 / 3
	}
	return room.Hold(batches.Memory{Rows: size})
}

func fileObject(f *filestore.File) openai.Object {
	return openai.Object{
		"id": f.ID, "object": "file", "bytes": f.Bytes, "created_at": f.CreatedAt.Unix(), "expires_at": f.ExpiresAt.Unix(),
		"filename": f.Name, "purpose": f.Purpose, "status": "processed", "status_details": nil,
	}
}

const maxFilesPage = 10_000

func (h *Handler) listFiles(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	page, err := openai.ParsePage(r.URL.Query(), maxFilesPage, maxFilesPage)
	if err != nil {
		return nil, err
	}
	found, more, err := h.files.List(r.Context(), tenant(r), filestore.Page{
		After: page.After, Limit: page.Limit, Purpose: r.URL.Query().Get("purpose"), Ascending: page.Ascending,
	})
	if err != nil {
		return nil, err
	}
	data := make([]openai.Object, len(found))
	for i, f := range found {
		data[i] = fileObject(f)
	}
	return openai.List(data, more), nil
}

func (h *Handler) file(r *http.Request, param, id string) (*filestore.File, error) {
	f, err := h.files.Get(r.Context(), tenant(r), id)
	if errors.Is(err, filestore.ErrNotFound) {
		return nil, notFound("file", param, id)
	}
	return f, err
}

func (h *Handler) getFile(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	id := r.PathValue("id")
	if out, ok := parseOutput(id); ok {
		return h.getOutput(r, out)
	}
	f, err := h.file(r, "id", id)
	if err != nil {
		return nil, err
	}
	return fileObject(f), nil
}

func (h *Handler) deleteFile(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	id := r.PathValue("id")
	if _, ok := parseOutput(id); ok {
		return nil, openai.Bad("id", "not_deletable", "a file of a batch's answers is written from the batch when it is read, and goes when the batch expires")
	}
	err := h.files.Delete(r.Context(), tenant(r), id)
	if errors.Is(err, filestore.ErrNotFound) {
		return nil, notFound("file", "id", id)
	}
	if err != nil {
		return nil, err
	}
	return openai.Object{"id": id, "object": "file", "deleted": true}, nil
}

func (h *Handler) content(w http.ResponseWriter, r *http.Request) (openai.Object, error) {
	id := r.PathValue("id")
	if out, ok := parseOutput(id); ok {
		return nil, h.outputContent(w, r, out)
	}
	f, err := h.file(r, "id", id)
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+f.SHA256+`"`)
	http.ServeContent(w, r, "", f.CreatedAt, h.files.Open(r.Context(), f))
	return nil, nil
}
