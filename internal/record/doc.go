// Package record writes the records of tasks, which package results reads.
//
// It promises that a task ends once, whatever dies and however late a write arrives:
//
//   - [Store.Create] never changes an existing record.
//   - [Store.Begin] makes an [Attempt] the owner of the record. It fences every older attempt: their writes fail with
//     [ErrFenced]. Two handlers can run for one task (a lost lease, a shutdown that put the task back while its handler still
//     ran); only one of them can write.
//   - An attempt notes each step that costs money before it takes it ([Attempt.Asking]), and the outcome as soon as it is known
//     ([Attempt.Created]). The next attempt looks the chat up instead of asking again.
//   - [Attempt.Finish] and [Store.Cancel] write the end and publish it in one step.
//
// It is not for reading results, and knows neither Coze nor asynq.
//
// Each step is a Lua script on the keys of one task. The heads of the scripts say what they take, reply and promise, and which
// processes can meet there. Besides the keys of package results there is the channel cozeq:cancel, with ids of tasks that
// their workers must cancel.
package record
