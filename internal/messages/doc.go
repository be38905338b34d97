// Package messages makes Coze's messages: of a text with files, and of the messages that clients of OpenAI's APIs write.
//
// Files of questions and the HTTP API share it, so that a question means the same whichever way it comes.
package messages
