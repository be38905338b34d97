package openaibatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/tasks/batches"
)

// create makes a batch of an uploaded file.
//
// OpenAI's SDKs send a request again if its reply was lost, without a key. A second batch of 50,000 questions would be paid
// for twice. So the id is made of the request: the same one finds its batch, whether the first one came to its end or was cut
// anywhere, and adds the lines that are missing. To ask the same questions again, upload the file again, or send another
// Idempotency-Key. A batch that has ended without all its answers (cancelled, expired) is not found again: the same request
// makes the next one.
//
// All lines are in the queue when the reply goes out. A client that hangs up meanwhile changes nothing.
func (h *Handler) create(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	q, err := parseRequest(r.Body)
	if err != nil {
		return nil, err
	}
	id, there, err := h.find(r, q)
	if err != nil {
		return nil, err
	}
	if there != nil && !there.SubmittedAt.IsZero() { // also if its file is gone
		return h.object(r, there)
	}
	f, err := h.file(r, "input_file_id", q.InputFileID)
	if err != nil {
		return nil, err
	}
	if f.Purpose != purposeBatch {
		return nil, openai.Bad("input_file_id", "invalid_value", "%s has purpose %s: upload it with purpose %s", f.ID, f.Purpose, purposeBatch)
	}
	in, err := h.open(r.Context(), h.files.Open(r.Context(), f), q.Endpoint, q.Queue)
	if err != nil {
		return nil, err
	}
	b, err := h.submit(r.Context(), q, id, f.Name, in, there)
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, explain("input_file_id", err)
	}
	return h.object(r, b)
}

func (h *Handler) find(r *http.Request, q *request) (id string, there *batches.Status, err error) {
	digest := q.digest()
	for nth := 1; ; nth++ {
		id := batchID(tenant(r), idempotencyKey(r), digest, nth)
		b, err := h.batches.Get(r.Context(), id)
		switch {
		case errors.Is(err, batches.ErrNotFound):
			return id, nil, nil
		case err != nil:
			return "", nil, err
		case idempotencyKey(r) != "":
			if n, ok := noteOf(b); !ok || n.Digest != digest {
				return "", nil, conflict()
			}
			return id, b, nil
		case !ended(b) || b.Counts.Completed+b.Counts.Failed == b.Counts.Total:
			return id, b, nil
		}
	}
}

func (h *Handler) submit(ctx context.Context, q *request, id, name string, in *input.Input, there *batches.Status) (*batches.Status, error) {
	stats, err := in.Check(ctx)
	if err != nil {
		return nil, err
	}
	key := apikey.FromContext(ctx)
	if there == nil {
		room, err := h.batches.Room(ctx)
		if err == nil {
			size := batches.Size{Rows: stats.Rows, Text: stats.Text, Columns: stats.Carried, Sealed: h.batches.Encrypts()}
			if err := room.Hold(batches.Estimate(size)); err != nil {
				return nil, err
			}
		}
		if limits := h.Submit.Limits; limits != nil {
			if err := limits.AdmitBatch(ctx, key, id, stats.Rows); err != nil {
				return nil, err
			}
		}
	}
	submission := &batchfile.Submission{Input: in, Batches: h.batches, Batch: batches.Spec{
		ID: id, Queue: q.Queue, Tenant: key.Tenant(), Keep: q.keep(), Note: q.note(), ExpiresAt: time.Now().Add(q.window), Name: name,
	}}
	b, _, err := submission.Run(context.WithoutCancel(ctx))
	if _, taken := errors.AsType[*batchfile.TakenError](err); taken {
		err = fmt.Errorf("batch %s was made of other lines: %w", id, err)
	}
	return b, err
}
