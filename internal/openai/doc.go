// Package openai is OpenAI's API over the queue: chat completions and responses. A [Decoder] makes a task of a request, and
// [Echo.Reply] a reply of a task's result.
package openai
