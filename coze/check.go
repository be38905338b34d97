package coze

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// codeParameter is also Coze's word for a path that it does not know, then with HTTP 404.
const codeParameter = 4000

// checkID is of a conversation, and of a chat, that cannot exist: Coze's ids have 19 digits.
const checkID = "1"

// Check asks Coze whether it accepts the token at this base URL, by a call that costs nothing: it looks for a
// conversation that does not exist. Nil means that the token is accepted; it does not mean that the token may do all
// that will be asked of it. An [*Error] of [ClassAuth] means that it is not, and its Hint names the other region. Any
// other error is of the way to Coze, and leaves the question open.
//
// It is worth asking before a question is: POST /v3/chat looks the bot up first, and may answer a bad token, or one of
// the other region, with 4200 as if the bot did not exist.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.RetrieveConversation(ctx, checkID)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == codePermission && e.Status != http.StatusUnauthorized {
		// Said of a bad token, of one that lacks the permission for this call, and perhaps of a conversation that is
		// not ours. Looking chats up is a permission that no client can do without.
		_, err = c.RetrieveChat(ctx, checkID, checkID)
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return nil
	case e.Class == ClassAuth:
		return c.regional(e)
	case e.Code == 0, e.Status == http.StatusNotFound && e.Code == codeParameter:
		return e // not Coze's word, or not one of its paths
	case e.Class == ClassPermanent, e.Class == ClassQuota, e.Class == ClassBusy:
		return nil // it knows who asks: only what was asked for is not there
	}
	return e
}

// regional gives a refused token's error the hint that names the other region. Other refusals have advice of their own.
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
