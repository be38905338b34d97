package coze

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Identity names who asks, for limits and pauses that several processes share: 16 hexadecimal digits of a hash over
// the base URL and the account. The account is what an [Identifier] says it is, otherwise the token; the digits do not
// lead back to it. It stays the same for as long as the source's Identity, or its token, does. The error is an
// [*Error]: no token, or a base URL that is none.
func (c *Client) Identity(ctx context.Context) (string, error) {
	c.once.Do(c.setUp)
	const op = "identity"
	if c.baseErr != nil {
		return "", c.badBase(op)
	}
	kind, who := "identity", ""
	if source, ok := c.Auth.(Identifier); ok {
		who = source.Identity()
	}
	if who == "" {
		_, token, err := c.authorize(ctx)
		if err != nil {
			return "", (&exchange{client: c, call: call{op: op}}).unauthorized(ctx, err)
		}
		kind, who = "token", token
	}
	base := strings.ToLower(c.base.Scheme+"://"+c.base.Host) + c.base.EscapedPath()
	sum := sha256.Sum256([]byte(base + "\n" + kind + "\n" + who))
	return hex.EncodeToString(sum[:8]), nil
}
