// Package watch tells many watchers of many tasks what happens, over few connections to Redis: one subscription for all, and
// a few short reads at a time. It is for callers that show an answer while it is written: the HTTP APIs, tasks.Client.Stream.
//
// # How nothing is missed
//
// A task's pieces are in a stream, and each is published in the same step, with the id of the one before it
// (internal/record/delta.lua). A watcher knows the last piece that it has. A message that follows on it is handed on
// without a read. In every other case the watcher reads the stream from where it stands:
//
//   - at its start, and when Redis has confirmed the subscription, after each new connection too;
//   - when a message does not follow on what it has: one before it was lost;
//   - when its buffer was full, as whoever it tells was slow: the buffer is let go, and the stream has the rest;
//   - when the record has changed, or the task has ended without a piece;
//   - every 15 s, as pub/sub promises no delivery.
//
// Messages that come while it reads are not kept. If one of them is newer than what was read, it reads again. A read takes
// 200 pieces, and the next begins when those are handed on, so a slow watcher costs no more memory than that.
//
// # What an idle watcher costs
//
// No goroutine and no connection of its own: the caller's goroutine waits, and the subscription has two more channels.
package watch
