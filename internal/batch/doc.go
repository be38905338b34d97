// Package batch is files of questions in, files of answers out: the machinery of the commands run and batch.
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
//	{"cozeq":"retry","row":N,"ask":K,"usage"}                           the row's record is void, its task is RUN-N.K
//	{"cozeq":"spent","row":N,"usage"}                    what the row was billed beyond the usage in its record, above
//	{"cozeq":"fed","row":N}                              rows up to this one may be in a shared Redis
//	{"id":"RUN-N","custom_id",...}                                      a record, exactly as in a .jsonl OUTPUT
//
// The line of a chat is written before its question is sent, and again when the chat's id is known. A process that is
// killed loses nothing that was written. Loss of power may take the last second, as the file is synced once a second:
// the questions of that second may then be asked twice.
//
// # What is not asked
//
// due.go decides which row comes next. It leaves out those that have a record, that are not of the sample (sample.go), that
// the budget does not allow (budget.go), and that the cache answers (cache.go, twins.go).
//
// # Formats
//
// What a file is like is settled before its first row: look.go finds out encoding, ends of lines, delimiter and sheet, and
// what was found stands in the journal's heading. The rows of all formats are then made the same way: jsonl.go, openai.go,
// txt.go and table.go (whose cells come from cells.go) fill a [Row], and row.go puts its question together and checks it.
// An OUTPUT is read back, for its failed rows, through the same readers (records.go).
//
// # Memory
//
// Neither the input nor the answers are ever held as a whole: a row of the input costs some 40 bytes (an offset into
// the journal, and a hash of its custom_id while the input is checked), a row of the window its question.
//
// # Detached batches
//
// A [Submission] puts an input into a shared Redis as a whole, where it needs nobody to wait for it; its id is made of
// the questions, so that to submit them again finds what is there. [Detached] reads what became of it: it follows it to
// its end, writes its records as a run would have, and verifies them. What a row carries to its output, and the form that
// it has there, is kept with the batch.
//
// The package knows neither Coze nor the worker: it puts tasks into the queue and waits for results. It may import
// tasks, results, internal/charset and internal/sheet of this module, and only the command line may import it.
package batch
