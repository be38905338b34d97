// Package batchfile is what a detached batch needs of files.
//
// A [Submission] puts an input into a shared Redis as a whole, where it needs no process of ours to wait for it; its id is made
// of the questions, so that to submit them again finds what is there. [Detached] reads what became of it: it follows it to its
// end, writes its records as a run would have, and verifies them. What a row carries to its output, and the form that it has
// there, is kept with the batch.
package batchfile
