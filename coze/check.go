package coze

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// codeParameter is a bad parameter, or with HTTP 404 an unknown path.
const codeParameter = 4000

// checkID is the id of a conversation and a chat that cannot exist: Coze's ids have 19 digits.
const checkID = "1"

// Check asks Coze whether it accepts the token at this base URL, with calls that cost nothing: it reads a conversation that
// does not exist and posts a chat without bot or question. Nil means that the token is accepted and that questions get to
// Coze's API, not that the token has every permission. An [*Error] of [ClassAuth] means that the token is refused, and its
// Hint names the other region; one of [ClassEndpoint] means that no question can get through. Any other error leaves both
// open.
//
// Check before the first question: POST /v3/chat looks up the bot first, and may answer a bad token, or one of the other
// region, with 4200 as if the bot did not exist.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.RetrieveConversation(ctx, checkID)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == codePermission && e.Status != http.StatusUnauthorized {
		// This code may mean a bad token, a missing permission for this call, or a foreign conversation. Every client
		// needs the permission to retrieve chats, so ask with that.
		_, err = c.RetrieveChat(ctx, checkID, checkID)
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
	case e.Class == ClassAuth:
		return c.regional(e)
	case e.Code == 0 && e.Class == ClassPermanent:
		return e.atEndpoint() // not from Coze, and there is no question that it could be about
	case e.Code == 0, e.Class == ClassEndpoint:
		return e
	case e.Class != ClassPermanent && e.Class != ClassQuota && e.Class != ClassBusy:
		return e
	}
	return c.checkPost(ctx)
}

// checkPost makes sure that a POST /v3/chat gets to Coze: a proxy or a redirect may treat it differently from a GET. Coze
// refuses the empty chat, with whatever code.
func (c *Client) checkPost(ctx context.Context) error {
	var reply json.RawMessage
	err := c.call(ctx, call{op: opChat, method: http.MethodPost, path: "/v3/chat", inBody: true, body: struct{}{}}, &reply)
	switch e, ok := errors.AsType[*Error](err); {
	case !ok:
		return nil
	case e.Class == ClassEndpoint:
		return e
	case e.Code == 0 && e.Class == ClassPermanent:
		return e.atEndpoint()
	}
	return nil
}

func (e *Error) atEndpoint() *Error {
	own := *e
	own.Class, own.Scope, own.hint = ClassEndpoint, ScopeAccount, hintEndpoint.EN
	return &own
}

// regional gives the error of a refused token the hint that names the other region. Other refusals keep their hints.
func (c *Client) regional(e *Error) *Error {
	switch {
	case slices.Contains(codesOfTokens, e.Code):
	case e.Code == 0 && e.Status == http.StatusUnauthorized && e.hint == hintToken.EN:
	default:
		return e
	}
	here, other, at := "https://"+strings.ToLower(c.base.Host), "", ""
	switch here {
	case DefaultBaseURL:
		other, at = BaseURLCom, "coze.com"
	case BaseURLCom:
		other, at = DefaultBaseURL, "coze.cn"
	default:
		return e.WithHint(hintToken.EN)
	}
	return e.WithHint("If the token was made at " + at + ", set the base URL to " + other +
		"; otherwise make a new token at Coze, with the permissions for conversations and chats.")
}
