// Package dashboard is the dashboard: asynqmon's pages with the question and the answer of each task in place of bytes.
//
// [New] returns the handler for everything below [Root]. asynqmon, linked as a library, makes the pages and their API.
// This package changes four things:
//
//   - it checks the caller's token, and read-only requests cannot write (lock.go);
//   - it shows tasks as text, with their records (tasks.go, question.go, answer.go): asynqmon's formatters see a payload
//     without the task's id, and its pages show results of completed tasks only;
//   - the page of charts asks Prometheus for the workers' metrics (charts.go), not for asynqmon's;
//   - a button that would leave a caller waiting for ever cancels the task as cozeq does, or is refused (operate.go).
//
// The package serves no metrics, keeps no state, and knows neither flags nor the worker.
package dashboard
