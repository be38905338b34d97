// Package results keeps what came back: one Redis hash for each task, written
// from the moment that the task is enqueued, and one message on a channel when
// it ends.
//
// # Life of a result
//
// A producer calls [Store.Create] before it puts the task into the queue. A
// worker that takes the task up calls [Store.Begin] and gets an [Attempt], the
// right to write: the newest Begin owns the hash and every write of an older
// one is refused with [ErrFenced], so of two handlers that run for one task
// (a lost lease, a shutdown that put the task back while its handler was still
// unwinding) only one may end it. The Attempt notes the ids of the conversation
// and of the chat as soon as they are known; who begins next reads them and
// looks the chat up instead of asking again. [Attempt.Finish] writes the
// terminal fields and publishes them in one atomic step.
//
// Waiters ([Store.Wait], [Store.WaitAll], [Waiter]) share one subscription for
// each Store, read the hash after every confirmed (re)subscription, and so miss
// nothing when a connection drops.
//
// # Keys
//
//	cozeq:result:{ID}   hash    the result, see [Result] for the fields
//	cozeq:body:{ID}     string  messages too long for the queue's payload
//	cozeq:deltas:{ID}   stream  fields type (delta, reset, end) and text
//	cozeq:done:ID       channel one message when the task ends: the result as JSON
//	cozeq:cancel        channel ids of running tasks that shall be canceled
//
// The braces are part of the keys: one task's keys share a slot of Redis
// Cluster, so that each script here touches one slot only.
//
// The package knows neither Coze nor asynq and imports nothing else of this
// module.
package results
