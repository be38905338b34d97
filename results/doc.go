// Package results holds the results of tasks: what is in a record, and how to read it and to
// wait for its end.
//
// A task has one record, a hash in Redis, from the moment it is enqueued. [Store.Get] reads it
// at any time. When the task ends its [Result] is written to the record and published on a
// channel in one atomic step. [Store.Wait], [Store.WaitAll] and [Waiter] share one subscription
// for each Store. They read the record after every (re)subscription that Redis confirms, so a
// connection that drops loses nothing.
//
// A task that fails, expires or is canceled has a [Failure], which is an error: see
// [Result.Err].
//
// Most programs need only tasks.Client, which enqueues, waits, streams and cancels, and this
// package's types. The package does not write records: only a worker and the client of package
// tasks do.
//
// # Keys
//
//	cozeq:result:{ID}   hash    the record
//	cozeq:body:{ID}     string  messages too long for the queue's payload
//	cozeq:deltas:{ID}   stream  the pieces of an answer: type (delta, reset, end) and text; also
//	                            the channel on which each is published
//	cozeq:done:ID       channel one message when the task ends: the result as JSON
//
// docs/contract.md has the fields. The braces are part of the keys: they put all keys of one
// task into one slot of a Redis Cluster.
//
// Texts can be encrypted: see [Keys].
package results
