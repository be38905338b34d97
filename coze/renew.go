package coze

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

// The codes that say, or may say, that a token is not accepted. 4101 is the word for a token without permission as
// well, which the next one will lack too; but POST /v3/chat has it for any bad token, and to try costs one refusal.
const (
	codeAuthentication = 4100
	codePermission     = 4101
	codeToken          = 700012006
)

var codesOfTokens = []int{codeAuthentication, codePermission, codeToken}

// refusedToken tells whether a call failed because Coze does not take its token, and left nothing behind.
func (x *exchange) refusedToken(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && x != nil && e.Zone == ZoneRefused &&
		(e.Status == http.StatusUnauthorized || slices.Contains(codesOfTokens, e.Code))
}

// renew gets another token than the one that was refused. Nil tells that there is one and the call may be sent once
// more; otherwise it is the error to fail with.
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
		return refusal // a token file that is gone: Coze's word is the better one
	}
	if _, token, err := x.client.authorize(ctx); err != nil || token == x.token {
		return refusal
	}
	return nil
}
