package openaibatch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/filestore"
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
func (h *Handler) upload(w http.ResponseWriter, r *http.Request) error {
	f, err := upload.Receive(r, h.MaxFile)
	if err != nil {
		return err
	}
	defer f.Close()
	purpose, keep, err := parseUpload(f)
	if err != nil {
		return err
	}
	if purpose == purposeBatch {
		if err := h.check(r.Context(), f); err != nil {
			return h.explain(w, "file", err)
		}
	}
	if err := h.hasRoom(r.Context(), f.Bytes); err != nil {
		return err
	}
	if err := h.files.Reserve(r.Context(), tenant(r), f.Bytes, h.MaxFiles); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return &upload.DiskError{Err: err}
	}
	kept := h.files.Upload(r.Context(), tenant(r), h.MaxFile)
	defer kept.Abort()
	if _, err := io.Copy(kept, f); err != nil {
		return err
	}
	file, err := kept.Commit(f.Name, purpose, keep)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, fileObject(file))
}

// check checks the lines of a file that is to be a batch.
func (h *Handler) check(ctx context.Context, f *upload.File) error {
	head := make([]byte, 2)
	if n, _ := f.ReadAt(head, 0); n == 2 && head[0] == 0x1f && head[1] == 0x8b {
		return bad("file", "invalid_value", "compressed with gzip: upload it unpacked")
	}
	in, err := h.open(ctx, f, "", "")
	if err != nil {
		return err
	}
	_, err = in.Check(ctx)
	return errors.Join(err, in.Close())
}

// parseUpload reads the fields of an upload's form.
func parseUpload(f *upload.File) (purpose string, keep time.Duration, err error) {
	if f.Name == "" {
		return "", 0, bad("file", "missing_required_parameter", "missing: send a form with the parts file, with a file name, and purpose")
	}
	switch purpose = f.Fields.Get("purpose"); {
	case purpose == "":
		return "", 0, bad("purpose", "missing_required_parameter", "missing: want one of %s", strings.Join(purposes, ", "))
	case !slices.Contains(purposes, purpose):
		return "", 0, bad("purpose", "invalid_value", "%.60q: want one of %s", purpose, strings.Join(purposes, ", "))
	}
	const seconds = "expires_after[seconds]"
	if anchor := f.Fields.Get("expires_after[anchor]"); anchor != "" && anchor != "created_at" {
		return "", 0, bad("expires_after[anchor]", "invalid_value", "%.60q: want created_at", anchor)
	}
	if text := f.Fields.Get(seconds); text != "" {
		n, err := strconv.Atoi(text)
		if keep = time.Duration(n) * time.Second; err != nil || n > int(filestore.MaxKeep/time.Second) || keep < filestore.MinKeep {
			return "", 0, bad(seconds, "invalid_value", "%.60q: want 3600 to 2592000", text)
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

func fileObject(f *filestore.File) object {
	return object{
		"id": f.ID, "object": "file", "bytes": f.Bytes, "created_at": f.CreatedAt.Unix(), "expires_at": f.ExpiresAt.Unix(),
		"filename": f.Name, "purpose": f.Purpose, "status": "processed", "status_details": nil,
	}
}

const maxFilesPage = 10_000

func (h *Handler) listFiles(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := parseLimit(q, maxFilesPage, maxFilesPage)
	if err != nil {
		return err
	}
	order := q.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return bad("order", "invalid_value", "%.60q: want asc or desc", order)
	}
	found, more, err := h.files.List(r.Context(), tenant(r), filestore.Page{
		After: q.Get("after"), Limit: limit, Purpose: q.Get("purpose"), Ascending: order == "asc",
	})
	if err != nil {
		return err
	}
	data := make([]object, len(found))
	for i, f := range found {
		data[i] = fileObject(f)
	}
	return writeJSON(w, http.StatusOK, list(data, more))
}

// list is a page. Without has_more the SDKs would ask for one page more.
func list(data []object, more bool) object {
	o := object{"object": "list", "data": data, "first_id": nil, "last_id": nil, "has_more": more}
	if len(data) > 0 {
		o["first_id"], o["last_id"] = data[0]["id"], data[len(data)-1]["id"]
	}
	return o
}

// parseLimit reads how many there are on a page.
func parseLimit(q url.Values, standard, most int) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, bad("limit", "invalid_value", "%.60q: want 1 to %d", text, most)
	}
	return n, nil
}

// file finds an uploaded file of the tenant.
func (h *Handler) file(r *http.Request, param, id string) (*filestore.File, error) {
	f, err := h.files.Get(r.Context(), tenant(r), id)
	if errors.Is(err, filestore.ErrNotFound) {
		return nil, notFound("file", param, id)
	}
	return f, err
}

func (h *Handler) getFile(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if out, ok := parseOutput(id); ok {
		return h.getOutput(w, r, out)
	}
	f, err := h.file(r, "id", id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, fileObject(f))
}

func (h *Handler) deleteFile(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, ok := parseOutput(id); ok {
		return bad("id", "not_deletable", "a file of a batch's answers is written from the batch when it is read, and goes when the batch expires")
	}
	err := h.files.Delete(r.Context(), tenant(r), id)
	if errors.Is(err, filestore.ErrNotFound) {
		return notFound("file", "id", id)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, object{"id": id, "object": "file", "deleted": true})
}

func (h *Handler) content(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if out, ok := parseOutput(id); ok {
		return h.outputContent(w, r, out)
	}
	f, err := h.file(r, "id", id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+f.SHA256+`"`)
	http.ServeContent(w, r, "", f.CreatedAt, h.files.Open(r.Context(), f))
	return nil
}
