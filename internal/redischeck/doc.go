// Package redischeck looks whether a Redis is set up so that it may hold a queue: its version, what it does when it is
// full, what it keeps over a restart, whether it takes writes.
//
// It asks each server that takes writes: the one behind a URL or its sentinels, or every master of a cluster. What the
// server does not tell, as managed ones do not tell their configuration, is told as not known, and is no fault.
//
// cozeq doctor shows all findings; whoever starts a worker logs those that are not well. The commands and their rooms may import it.
package redischeck
