package submit

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// fingerprint is the same text for two requests that ask the same: same chat, same settings of the caller's. The id is no
// part of it.
func fingerprint(chat *tasks.Chat, o *tasks.Options) ([]byte, error) {
	c := *chat
	c.TraceParent = "" // each try has its own
	text, err := json.Marshal(struct {
		Chat     *tasks.Chat
		Queue    string
		Attempts int
		Timeout  time.Duration
		Keep     time.Duration
		Delay    time.Duration
	}{&c, o.Queue, o.Attempts, o.Timeout, o.Keep, o.Delay})
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return text, nil
}

// digests are what the record may say of a request: see results.Keys. The id salts them, so that two records do not show
// that they ask the same.
func (c *Client) digests(request []byte, id string) []string {
	return c.keys().Digests(append([]byte(id+"\x00"), request...))
}

// keyedID is the id of a task that an idempotency key names. It must not depend on keys that change, and the caller's key is
// no secret. A tenant's name has no NUL, so no two pairs are alike.
func keyedID(tenant, key string) string {
	return "idem-" + (*results.Keys)(nil).Digests([]byte(tenant + "\x00" + key))[0]
}

// retryKey is where the newest task with a request is noted.
func (c *Client) retryKey(tenant string, request []byte) string {
	return rediskey.Retry(c.keys().Digests(append([]byte(tenant+"\x00"), request...))[0])
}
