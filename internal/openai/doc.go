// Package openai serves OpenAI's API over the queue: models, chat completions and responses.
//
// A [Decoder] makes a task of a request, [Echo.Reply] a reply of a task's result; both know nothing of HTTP, and batches use
// them as well. A [Handler] is what lies between: it submits, waits or streams, and gives up as clients do.
//
// # What a client that goes away means
//
// OpenAI's SDKs send a request again after a cut connection or a time-out. For the server both look like somebody who hangs
// up. So a task is not canceled at once: see waiters.go.
//
// # Keys
//
//	cozeq:waiting:{ID}   sorted set  the requests that wait for a task, by the end of their lease
//	cozeq:response:{ID}  string      what a response repeats of its request, and its input
package openai
