package batch

import (
	"context"
	"fmt"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks/batches"
)

// memoryNeed compares the memory that a batch needs with that of Redis.
type memoryNeed struct {
	stats  input.Stats
	memory batches.Memory // for the rows that are not in Redis yet
	room   batches.Room
}

func (o *submitOptions) need(ctx context.Context, sub *batchfile.Submission, there *batches.Status) (n memoryNeed, err error) {
	if n.stats, err = sub.Input.Check(ctx); err != nil {
		return n, err
	}
	size := batches.Size{Rows: n.stats.Rows, Text: n.stats.Text, Columns: n.stats.Carried}
	if there != nil {
		// The rows of an earlier submit have their memory already.
		left := max(there.Rows-there.Enqueued, 0)
		if !unfinishedSubmit(there) {
			left = 0
		}
		part := float64(left) / float64(max(there.Rows, 1))
		size = batches.Size{Rows: left, Text: int64(part * float64(size.Text)), Columns: int64(part * float64(size.Columns))}
	}
	size.Sealed = sub.Batches.Encrypts()
	n.memory = batches.Estimate(size)
	n.room, err = sub.Batches.Room(ctx)
	return n, err
}

// previewJSON is the outcome of --dry-run for programs. Memory is in bytes.
type previewJSON struct {
	ID        string `json:"id"`
	Rows      int    `json:"rows"`
	Text      int64  `json:"text_bytes"`
	Already   bool   `json:"already_submitted"`
	Enqueued  int    `json:"enqueued,omitempty"` // by an interrupted submit
	Memory    int64  `json:"memory_bytes"`
	PerRow    int64  `json:"memory_bytes_per_question"`
	Used      int64  `json:"redis_used_bytes"`
	MaxMemory int64  `json:"redis_maxmemory_bytes,omitempty"`
	Policy    string `json:"redis_maxmemory_policy,omitempty"`
	Fits      bool   `json:"fits"`
}

// preview prints what a submit would do, and refuses what it would refuse.
func (o *submitOptions) preview(sub *batchfile.Submission, there *batches.Status, n memoryNeed) error {
	refused := n.room.Hold(n.memory)
	out := previewJSON{
		ID: sub.Batch.ID, Rows: n.stats.Rows, Text: n.stats.Text, Memory: n.memory.Total(), Used: n.room.Used,
		MaxMemory: n.room.Max, Policy: n.room.Policy, Fits: refused == nil,
	}
	out.PerRow = (out.Memory - out.Text) / int64(max(out.Rows, 1))
	if there != nil {
		out.Already = !unfinishedSubmit(there)
		if !out.Already {
			out.Enqueued = there.Enqueued
		}
	}
	if o.json {
		if err := terminal.WriteJSON(o.streams.Out, out); err != nil {
			return err
		}
		return refused
	}
	t := &terminal.Table{Header: []string{"BATCH", out.ID}}
	if !o.streams.OutTTY {
		t.Add("batch", out.ID)
	}
	t.Add("questions", o.streams.Number(out.Rows))
	t.Add("text", terminal.Mebibytes(out.Text))
	switch {
	case out.Already:
		t.Add("submitted", "already: nothing would be enqueued; --again makes another batch")
	case there != nil:
		t.Add("submitted", fmt.Sprintf("%s of %s: the rest would be enqueued", terminal.Count(there.Enqueued), terminal.Count(there.Rows)))
	}
	t.Add("memory in Redis", fmt.Sprintf("%s, and the answers", terminal.Mebibytes(out.Memory)))
	t.Add("Redis", o.roomText(n.room))
	if err := t.WriteLong(o.streams); err != nil {
		return err
	}
	return refused
}

func (o *submitOptions) roomText(r batches.Room) string {
	text := terminal.Mebibytes(r.Used) + " used, "
	if r.Max == 0 {
		return text + "no maxmemory"
	}
	return text + "maxmemory " + terminal.Mebibytes(r.Max) + " (" + r.Policy + ")"
}
