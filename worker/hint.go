package worker

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
)

// Where the token may read it, Coze tells what the account's plan allows. That is only
// a hint: less may hold at a moment, and the limiter learns it. It shortens the way up
// from the first rate, so it is asked for once a process and credential, when a
// question has to wait for the first time.
const (
	hintAfter = 50 * time.Millisecond
	hintWait  = 5 * time.Second
	hintShare = 0.9 // of what the plan allows: other programs may call too
)

// hintScript raises a rate that no refusal has spoken against yet.
//
// KEYS: limit. ARGV: calls a second.
var hintScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[1], 'top') == 1 then return 0 end
local rate = tonumber(redis.call('HGET', KEYS[1], 'rate'))
if not rate or rate >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'rate', ARGV[1])
return 1`)

// askHint asks for the plan's rate beside what the worker does.
func (w *Worker) askHint(client *coze.Client, credential string) {
	w.mu.Lock()
	asked := w.hinted[credential]
	w.hinted[credential] = true
	w.mu.Unlock()
	if asked {
		return
	}
	w.wg.Go(func() {
		ctx, cancel := context.WithTimeout(w.life, hintWait)
		defer cancel()
		rate, err := client.ChatRate(ctx)
		if err != nil || rate == 0 {
			w.log.Debug("the plan's rate is not to be had, it will be learnt", "credential", credential, "err", err)
			return
		}
		err = hintScript.Run(ctx, w.cfg.Redis, []string{limitKey(credential, "")}, rate*hintShare).Err()
		if err != nil {
			w.log.Debug("could not note the plan's rate, it will be learnt", "credential", credential, "err", err)
			return
		}
		w.log.Debug("the plan allows a rate", "credential", credential, "calls_per_second", rate)
	})
}
