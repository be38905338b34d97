// Package filerun asks every question of a file and writes every answer: the machinery of the command run.
//
// # One run
//
// [input.Open] takes the input, [input.Input.Check] reads all of it once and reports everything that is wrong with it, and
// [Job.Run] does the rest:
//
//	input ─► rows, in order ─► window of rows in Redis ─► journal (OUTPUT.partial) ─► OUTPUT, in order
//	            tasks.Client.Enqueue          results.Waiter
//
// A row's task has the id RUN-N: RUN is made at the first start and stands in the journal, N is the row's number from
// 1. So whoever goes on with the run names the same tasks again. A row that is asked anew because it failed gets
// RUN-N.2, RUN-N.3, ...: an id is never used for a second ask.
//
// # What is not asked
//
// select.go decides which row comes next. It leaves out those that have a record, that are not of the sample (sample.go), that
// the budget does not allow (budget.go), and that the cache answers (coalesce.go).
//
// # Memory
//
// Neither the input nor the answers are ever held as a whole: a row of the input costs some 40 bytes (an offset into
// the journal, and a hash of its custom_id while the input is checked), a row of the window its question.
//
// The package knows neither Coze nor the worker: it puts tasks into the queue and waits for results. Only the
// command line may import it.
package filerun
