// Package tasks is what is asked: the chat task's wire form and the client that
// puts it into the queue.
//
// # Life of a task
//
// [Client.Enqueue] writes the task's result record (package results), joins the
// task to its conversation's lane if it has one, and hands it to asynq under the
// same id. A worker takes it up, asks Coze, and ends the record; asynq then keeps
// the task for a while, for people who look at asynqmon.
//
// Tasks of one conversation run one at a time in the order in which they were
// enqueued. Many tasks are enqueued together, in their order, by
// [Client.EnqueueAll]. A file of questions that is to be seen, canceled and asked
// again as one is a batch: see package batches.
//
// The payload ([Chat]) is JSON that a person can read in asynqmon, with Coze's own
// field names. Any asynq client may enqueue it; what this package's client adds is
// the record from the first moment on, and the order of turns.
//
// The package does not know Coze's API nor the worker. It may import results and
// nothing else of this module.
package tasks

import "github.com/cozeq/cozeq/internal/lane"

// TypeChat is the asynq type of a chat task.
const TypeChat = lane.TypeChat // coze:chat

// The queues, from the most to the least urgent.
const (
	QueueCritical = "critical"
	QueueDefault  = "default"
	QueueLow      = "low"
)
