// Package filerun asks every question of a file and writes every answer: the machinery of the command run.
//
// [input.Open] opens the file, [input.Input.Check] reads it once and reports all errors together, and [Job.Run] does the
// rest:
//
//	input ─► rows to ask ─► window of rows in Redis ─► journal (OUTPUT.partial) ─► OUTPUT, in order
//	 open.go   select.go    feed.go       collect.go       internal/journal        deliver.go
//
// A row's task has the id RUN-N: the journal holds RUN, which is made at the first start, and N is the row's number from 1.
// So a run that resumes names the same tasks again. A row that is asked again because it failed gets RUN-N.2, RUN-N.3, ...:
// an id is never used for a second question.
//
// select.go decides which row comes next. It leaves out rows that have a record, that are not in the sample (sample.go),
// that the budget does not allow (budget.go), and that the cache answers (coalesce.go).
//
// Neither the input nor the answers are ever held as a whole: a row of the input costs some 40 bytes (an offset into the
// journal, and a hash of its custom_id while the input is checked), a row of the window its question.
//
// The package knows neither Coze nor the worker: it puts tasks into the queue and waits for results. Only the command line
// may import it. Detached batches are package batchfile's.
package filerun
