// Package webhook tells a receiver of a task's or a batch's end, by Standard Webhooks 1.0.0, at least once.
//
// A [Sender] schedules a delivery as an asynq task of the queue webhooks, under wh-TASK or whb-BATCH. Its payload (note.go)
// says where to and with which secret's name. [Sender.Run] serves that queue: `cozeq serve` does, a worker does not. The
// dashboard shows what is scheduled, retried and archived, and can run it again.
//
// # Never lost
//
// The delivery is scheduled before the task is enqueued, as a watchdog: it looks after 10 s whether the task has ended, and
// then at growing intervals, up to 10 min (waits.go). So no step of the worker knows of webhooks, and no step has to change
// two keys at once, which a Redis Cluster could not do. The process that has scheduled it also waits for the end and has
// the watchdog run at once (watch.go). That is for speed alone, and a process that looks at a task that has not ended
// waits for it from then on, too.
//
// If a process dies, or Redis is gone and comes back with what it had:
//
//	before Schedule                        nothing was promised
//	after Schedule, before the enqueueing  the watchdog finds no task; 10 min later it is archived. A caller that comes back
//	                                       with the same id goes on from here, also with another URL
//	after the enqueueing, before the end   the watchdog looks, in any process that serves
//	after the end, before the try          the same: late by half of the task's age at most, and by 10 min
//	taken up, before the request is sent   its lease runs out; 14 to 20 s later it is pending again (run.go, reap)
//	after the request, before the answer   the same: it is sent again, with the same webhook-id
//	after the answer, before asynq knows   the same
//	after a failure, before it is noted    the same: the try is not counted
//
// From the first failed try on the body is kept with the asynq task, so that each try sends the same bytes, and a result
// that is kept for an hour is still delivered ten hours later.
//
// # What is counted
//
// asynq counts tries in its retries. Looks at a task that has not ended, a receiver that is busy, and a dead process use
// up none. After [Tries] failed tries, or a 410, the asynq task is archived by us, never by asynq: it would do so at any
// error once its own count is used up, which is why it may retry once more than there are tries.
//
// # Whom it connects to
//
// Public addresses, and those of --webhook-allow. The guard (address.go) is asked when a connection is made, after DNS.
// Redirects are not followed, and proxies of the environment are not used. A slow receiver gets a quarter of the slots
// (hosts.go).
//
// Keys in Redis: asynq's of the queue webhooks, none of our own. No secret is in them; URL and body are encrypted where the
// store has keys.
package webhook
