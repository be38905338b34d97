package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/results"
)

// Lists of tasks that have not ended, by their names in asynqmon's API. Callers wait for the records of these tasks.
const activeTasks = "active_tasks"

func open(list string) bool {
	switch list {
	case activeTasks, "pending_tasks", "scheduled_tasks", "retry_tasks":
		return true
	}
	return false
}

// Why a button is refused.
const (
	noArchive = "not archived: callers would wait for ever. Delete cancels a task; its status is then canceled"
	noAll     = "not all at once: each is canceled by itself, and there may be many. Select tasks and delete those, or use cozeq cancel"
)

// maxForm bounds the ids in one request, in bytes.
const maxForm = 1 << 20

// operateTask handles a button beside a task. asynqmon's own cancel, delete and archive would leave the record open: asynq
// retries a canceled task, and the record of a deleted one stays queued for 30 days. asynqmon handles the other buttons,
// such as running a failed task again.
func (h *handler) operateTask(w http.ResponseWriter, r *http.Request) {
	queue, list := r.PathValue("queue"), r.PathValue("list")
	id, action := r.PathValue("task"), "delete"
	if r.Method == http.MethodPost {
		i := strings.LastIndexByte(id, ':') // an id may contain colons
		if i < 0 {
			i = len(id)
		}
		id, action = id[:i], strings.TrimPrefix(id[i:], ":")
	}
	switch {
	case !open(list):
		h.asynqmon.ServeHTTP(w, r)
	case action == "cancel" && list == activeTasks, action == "delete" && list != activeTasks:
		if err := h.cancel(r.Context(), queue, list, id); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case action == "archive":
		waits, err := h.waits(r.Context(), id)
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case waits:
			http.Error(w, noArchive, http.StatusConflict)
		default:
			h.asynqmon.ServeHTTP(w, r)
		}
	default:
		h.asynqmon.ServeHTTP(w, r)
	}
}

// operateList handles a button for the selected tasks or for a whole list.
func (h *handler) operateList(w http.ResponseWriter, r *http.Request) {
	queue := r.PathValue("queue")
	list, action, _ := strings.Cut(r.PathValue("list"), ":")
	if !open(list) {
		h.asynqmon.ServeHTTP(w, r)
		return
	}
	switch action {
	case "batch_cancel":
		h.cancelSelected(w, r, queue, list, "canceled_ids", "error_ids")
	case "batch_delete":
		h.cancelSelected(w, r, queue, list, "deleted_ids", "failed_ids")
	case "cancel_all":
		if err := h.cancelActive(r.Context(), queue); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case "batch_archive", "archive_all":
		http.Error(w, noArchive, http.StatusConflict)
	case "delete_all":
		http.Error(w, noAll, http.StatusConflict)
	default:
		h.asynqmon.ServeHTTP(w, r)
	}
}

func (h *handler) waits(ctx context.Context, id string) (bool, error) {
	record, err := h.Results.Get(ctx, id)
	if errors.Is(err, results.ErrNotFound) {
		return false, nil
	}
	return err == nil && !record.Status.Terminal(), err
}

// cancel ends a task as cozeq cancel does. A task without a record is not cozeq's or never began; one whose record has
// ended is only deleted from asynq.
func (h *handler) cancel(ctx context.Context, queue, list, id string) error {
	status, err := h.Tasks.Cancel(ctx, id)
	none := errors.Is(err, results.ErrNotFound)
	switch {
	case none && list == activeTasks:
		return h.inspector.CancelProcessing(id)
	case none, err == nil && list != activeTasks && status.Terminal() && status != results.Canceled:
		return h.inspector.DeleteTask(queue, id)
	}
	return err
}

func (h *handler) cancelSelected(w http.ResponseWriter, r *http.Request, queue, list, doneName, failedName string) {
	var form struct {
		IDs []string `json:"task_ids"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm))
	if err := d.Decode(&form); err != nil {
		http.Error(w, `want {"task_ids": [...]}: `+err.Error(), http.StatusBadRequest)
		return
	}
	done, failed := []string{}, []string{}
	for _, id := range form.IDs {
		if err := h.cancel(r.Context(), queue, list, id); err != nil {
			h.Log.Warn("not canceled from the dashboard", "task", id, "err", err)
			failed = append(failed, id)
			continue
		}
		done = append(done, id)
	}
	sendJSON(w, map[string][]string{doneName: done, failedName: failed})
}

// activePage is how many active tasks are listed per call.
const activePage = 1000

// cancelActive cancels the tasks that run in a queue now. It reads the whole list first: it shrinks while tasks end.
func (h *handler) cancelActive(ctx context.Context, queue string) error {
	var ids []string
	for page := 1; ; page++ {
		active, err := h.inspector.ListActiveTasks(queue, asynq.PageSize(activePage), asynq.Page(page))
		if err != nil {
			return err
		}
		for _, t := range active {
			ids = append(ids, t.ID)
		}
		if len(active) < activePage {
			break
		}
	}
	for _, id := range ids {
		if err := h.cancel(ctx, queue, activeTasks, id); err != nil {
			return err
		}
	}
	return nil
}
