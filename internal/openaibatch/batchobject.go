package openaibatch

import (
	"time"

	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/tasks/batches"
)

// The statuses of batches, in OpenAI's words. There is no "failed": a file that cannot be asked is refused before there is a
// batch of it. Nor is there a "finalizing": no file has to be written at the end.
const (
	statusValidating = "validating" // not all lines are in the queue
	statusInProgress = "in_progress"
	statusCancelling = "cancelling"
	statusCancelled  = "cancelled"
	statusExpired    = "expired"
	statusCompleted  = "completed"
)

// over reports whether no line will be asked any more because the window is over. What is at Coze then is read to its end.
// Workers end the lines that wait when they come to them, which a paused queue puts off: they count as expired before that.
func over(b *batches.Status) bool {
	return !b.ExpiresAt.IsZero() && time.Now().After(b.ExpiresAt) && b.Counts.Running == 0
}

func ended(b *batches.Status) bool { return b.Counts.Open() == 0 || over(b) }

func statusOf(b *batches.Status) string {
	switch {
	case !b.CanceledAt.IsZero() && !ended(b):
		return statusCancelling
	case !b.CanceledAt.IsZero():
		return statusCancelled
	case ended(b) && (b.Counts.Open() > 0 || b.Counts.Expired > 0):
		return statusExpired
	case ended(b):
		return statusCompleted
	case b.SubmittedAt.IsZero():
		return statusValidating
	}
	return statusInProgress
}

func batchObject(b *batches.Status, n *note, waits *submit.Wait) openai.Object {
	status := statusOf(b)
	answered, _ := answers(b)
	o := openai.Object{
		"id": b.ID, "object": "batch", "endpoint": n.Endpoint, "errors": nil, "input_file_id": n.InputFileID,
		"completion_window": n.CompletionWindow, "status": status, "output_file_id": nil, "error_file_id": nil,
		"created_at": b.CreatedAt.Unix(), "in_progress_at": openai.At(b.SubmittedAt), "expires_at": openai.At(b.ExpiresAt),
		"finalizing_at": nil, "completed_at": nil, "failed_at": nil, "expired_at": nil,
		"cancelling_at": openai.At(b.CanceledAt), "cancelled_at": nil,
		"request_counts": openai.Object{"total": b.Counts.Total, "completed": answered, "failed": b.Counts.Total - b.Counts.Open() - answered},
		"metadata":       nil,
		"usage": openai.Object{
			"input_tokens": b.Tokens.InputCount, "input_tokens_details": openai.Object{"cached_tokens": 0},
			"output_tokens": b.Tokens.OutputCount, "output_tokens_details": openai.Object{"reasoning_tokens": 0},
			"total_tokens": b.Tokens.TokenCount,
		},
	}
	if n.Metadata != nil {
		o["metadata"] = n.Metadata
	}
	if ended(b) {
		o[map[string]string{statusCancelled: "cancelled_at", statusExpired: "expired_at", statusCompleted: "completed_at"}[status]] = openai.At(endOf(b))
		good, rest := files(b)
		if good {
			o["output_file_id"] = output{batch: b.ID}.id()
		}
		if rest {
			o["error_file_id"] = output{batch: b.ID, errors: true}.id()
		}
		if status == statusExpired {
			o["request_counts"].(openai.Object)["failed"] = b.Counts.Total - answered
		}
	} else {
		o["cozeq"] = extension(b, waits)
	}
	return o
}

// extension says where the open lines are, and why.
func extension(b *batches.Status, waits *submit.Wait) openai.Object {
	o := openai.Object{"waiting": b.Counts.Waiting + b.Counts.Queued, "running": b.Counts.Running, "paused_until": nil, "reason": nil}
	switch {
	case waits != nil:
		o["reason"], o["paused_until"] = waits.Reason, openai.At(waits.Until)
	case b.SubmittedAt.IsZero():
		o["reason"] = "its lines are being put into the queue; if that was cut short, the same request again puts the rest there"
	}
	return o
}
