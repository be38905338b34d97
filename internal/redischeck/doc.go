// Package redischeck checks whether a Redis may hold a queue: its version, what it does when it is full, what it keeps over a
// restart, and whether it takes writes.
//
// It asks each server that takes writes: the one behind a URL or its sentinels, or every master of a cluster. A managed
// server may not tell its configuration. That is reported as not known, and is no fault.
//
// cozeq doctor shows all findings. A command that starts a worker logs those that are not well.
package redischeck
