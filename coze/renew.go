package coze

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

// The codes that say, or may say, that a token is refused. 4101 also means a token without permission, and the next token
// may lack it too; but POST /v3/chat answers any bad token with it, and a try costs one refusal.
const (
	codeAuthentication = 4100
	codePermission     = 4101
	codeToken          = 700012006
)

var codesOfTokens = []int{codeAuthentication, codePermission, codeToken}

// refusedToken reports whether a call failed only because Coze refused its token.
func (x *exchange) refusedToken(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && x != nil && e.Zone == ZoneRefused &&
		(e.Status == http.StatusUnauthorized || slices.Contains(codesOfTokens, e.Code))
}

// renew gets a new token in place of the refused one. Nil means that there is one and the call may be sent again;
// otherwise the error is the one to fail with.
func (x *exchange) renew(ctx context.Context, refusal error) error {
	source, ok := x.client.Auth.(Refresher)
	if !ok {
		return refusal
	}
	err := source.Refresh(ctx, x.token)
	if _, told := errors.AsType[*Error](err); told || ctx.Err() != nil {
		return x.unauthorized(ctx, err)
	}
	if err != nil {
		return refusal // such as a missing token file; Coze's error says more
	}
	if _, token, err := x.client.authorize(ctx); err != nil || token == x.token {
		return refusal
	}
	return nil
}
