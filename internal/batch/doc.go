// Package batch is files of questions in, files of answers out: the machinery of the command run.
//
// # One run
//
// [Open] takes the input, [Input.Check] reads all of it once and reports everything that is wrong with it, and
// [Job.Run] does the rest:
//
//	input ─► rows, in order ─► window of rows in Redis ─► journal (OUTPUT.partial) ─► OUTPUT, in order
//	            tasks.Client.Enqueue          results.Waiter
//
// A row's task has the id RUN-N: RUN is made at the first start and stands in the journal, N is the row's number from
// 1. So whoever goes on with the run names the same tasks again. A row that is asked anew because it failed gets
// RUN-N.2, RUN-N.3, ...: an id is never used for a second ask.
//
// # The journal
//
// OUTPUT exists only when it is complete. Until then OUTPUT.partial is lines of JSON, appended with one write each:
//
//	{"cozeq":"run","version":1,"run":RUN,"input":{"sha256","rows","format",...}}        the first line
//	{"cozeq":"chat","row":N,"bot_id","conversation_id","conversation_key","chat_id","asked_at"}  a chat in flight
//	{"cozeq":"retry","row":N,"ask":K}                                   the row's record is void, its task is RUN-N.K
//	{"id":"RUN-N","custom_id",...}                                      a record, exactly as in a .jsonl OUTPUT
//
// The line of a chat is written before its question is sent, and again when the chat's id is known. A process that is
// killed loses nothing that was written. Loss of power may take the last second, as the file is synced once a second:
// the questions of that second may then be asked twice.
//
// # Memory
//
// Neither the input nor the answers are ever held as a whole: a row of the input costs some 40 bytes (an offset into
// the journal, and a hash of its custom_id while the input is checked), a row of the window its question.
//
// The package knows neither Coze nor the worker: it puts tasks into the queue and waits for results. It may import
// tasks and results of this module, and only the command line may import it.
package batch
