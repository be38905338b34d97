package doctor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
)

// keyWarning is how long before its end a key is to be replaced, as the alert has it.
const keyWarning = 7 * 24 * time.Hour

// apiKeys lists the API keys of 'cozeq serve'. Errors of the file are findings of the setting.
func (d *doctor) apiKeys() []finding {
	var err error
	if d.keys, err = d.cfg.APIKeys(); err != nil || len(d.keys) == 0 {
		return nil
	}
	names := make([]string, len(d.keys))
	for i, key := range d.keys {
		names[i] = key.Name
	}
	found := []finding{well("apikeys", "%s: %s", terminal.Plural(len(names), "API key"), terminal.Short(strings.Join(names, ", "), 200))}
	for _, key := range d.keys {
		name, left := checkName("apikey", key.Name), time.Until(key.Expires)
		switch {
		case key.Expires.IsZero():
		case left <= 0:
			found = append(found, warned(name, "take it out of the file, or give it another expires", "has expired at %s: who uses it is refused", since(key.Expires)))
		case left < keyWarning:
			found = append(found, warned(name, "put the hash of a new key beside the old one, or give it another expires", "expires in %s", terminal.Rounded(left)))
		}
	}
	return found
}

// keyQueues are the queues that keys name and no worker serves.
func (d *doctor) keyQueues(served map[string]service) (found []finding) {
	for _, key := range d.keys {
		unserved := slices.DeleteFunc(slices.Clone(key.Queues), func(q string) bool { return served[q].processes > 0 })
		if len(unserved) > 0 {
			found = append(found, warned(checkName("apikey", key.Name), "start a worker that serves it: cozeq worker --queues "+unserved[0],
				"no worker serves %s, which it may use", strings.Join(unserved, ", ")))
		}
	}
	return found
}

// aliases checks the names for bots. coze checks whether the bots exist.
func (d *doctor) aliases() (found []finding) {
	models, err := d.cfg.Models()
	if err != nil || !d.official() {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		if notDigits(models[name]) {
			found = append(found, warned(checkName("model", name), botFix, "%s: ids of Coze's bots are digits alone", terminal.Short(models[name], 64)))
		}
	}
	return found
}

// channels checks whether the channels of ends and pieces of answers can be subscribed to. An ACL may forbid only channels.
func channels(ctx context.Context, rdb redis.UniversalClient) finding {
	const name = "redis.channels"
	sub := rdb.Subscribe(ctx, results.Channel("check"))
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		return failed(name, "give the user of REDIS_URL the channels: ACL SETUSER NAME &cozeq:* &asynq:* +@pubsub, as deploy/redis/users.acl has it",
			"cannot be subscribed to, so nobody hears of the end of a question: %v", err)
	}
	return well(name, "can be subscribed to")
}

// tenantsWait is far longer than a slot stays free while tasks wait.
const tenantsWait = time.Minute

// tenants is a finding of a queue, or that its workers pass over the tasks of API keys: they have free slots.
func tenants(ctx context.Context, rdb redis.UniversalClient, f finding, queue string, s service) finding {
	waiting, err := asynqx.Tenants(ctx, rdb, queue)
	if err != nil || s.idle == 0 {
		return f
	}
	for _, w := range waiting {
		if w.Oldest > tenantsWait {
			return failed(f.Name, "update the workers: they are of a version that does not know API keys",
				"%s; tasks of API key %s wait since %s, and workers have free slots", f.Detail, w.Tenant, terminal.Rounded(w.Oldest))
		}
	}
	return f
}
