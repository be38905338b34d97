package coze

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Identity names the account, for limits and pauses that several processes share: 16 hexadecimal digits of a hash over the
// base URL and the [Identifier]'s Identity, or without an Identifier the token. The hash does not reveal the token. The
// error is an [*Error]: no token, or an invalid base URL.
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
