// Package telemetry is what a worker shows of itself: its metrics, its spans, and collectors that mirror what Redis knows.
//
// Labels and attributes are bounded, and quote nobody: queues, verdicts, classes, ids, times and sizes, never a word of a
// question or an answer. A nil Metrics or Tracing costs nothing. The package writes nothing to Redis. Names of metrics are
// promised in docs/contract.md, those of spans in docs/traces.md.
package telemetry
