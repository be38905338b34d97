// Package tasks has the task, a question to a bot or the run of a workflow, and the client that puts it into the queue.
//
// # Life of a task
//
// [Client.Enqueue] writes the task's record (package results), adds the task to the lane of its conversation if it has
// one, and gives it to asynq under the same id. A worker takes it up, asks Coze and ends the record. asynq keeps the task
// for a while after that, for asynqmon.
//
// Tasks of one conversation run one at a time, in the order in which they were enqueued. [Client.EnqueueAll] enqueues many
// tasks in their order. Package batches has files of questions that are watched, canceled and retried as a whole.
//
// The payload ([Chat]) is JSON that people can read in asynqmon, with Coze's own field names. Any asynq client may enqueue
// it. This package's client adds the record from the start, and the order of turns.
//
// The package asks nothing: it knows neither Coze's API nor the worker.
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
