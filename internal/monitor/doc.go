// Package monitor is the dashboard: asynqmon's pages over a Redis of cozeq's, with the question and the answer of each
// task where asynqmon has bytes.
//
// [New] gives the handler for everything below [Root]. asynqmon, linked as a library, makes the pages and the API under
// them. Four things are changed on the way:
//
//   - who asks for a page is looked at first (lock.go), and what only looks cannot write;
//   - tasks are shown as text, with what their records say (tasks.go, question.go, answer.go): asynqmon's own formatters
//     see a payload without the task's id, and its pages show a result of completed tasks only;
//   - the page of charts asks Prometheus for the metrics that workers have (charts.go), not for those of asynqmon;
//   - buttons that would leave somebody waiting for ever cancel as cozeq does, or are refused (operate.go).
//
// The package serves no metrics, keeps nothing, and knows neither flags nor the worker. Only cmd/cozeq may import it.
package monitor
