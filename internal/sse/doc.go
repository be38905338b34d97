// Package sse writes Server-Sent Events as answer to an HTTP request. It is not for reading them.
//
// [Start] sends the headers and returns a [Writer]. Each frame leaves the process at once. While nothing is sent, a comment
// goes out every 15 s, so that no proxy takes the connection for dead. A reader that does not read ends the stream: each
// write has 30 s, after that the request's context ends, and every write returns an error. So a stream holds one frame in
// memory, whatever its reader does.
//
// # What readers do with it
//
// The comment is one line without a blank one behind it. That is enough for a proxy and for every reader, and the blank
// line would do harm: the decoders of some OpenAI SDKs take it for the end of an event, and fail on an event without data.
// For the same reason there is no frame that has only a retry: it goes with the first event, and [Writer.Data] sends none.
package sse
