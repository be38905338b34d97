package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// preflightTime bounds the question whether the token is accepted. It is answered
// in far less, or it is not worth waiting for.
const preflightTime = 15 * time.Second

// preflight asks Coze whether it accepts the token, before anything is spent. A token
// that it does not accept, or a base URL that leads elsewhere, is a *stoppedError.
// Trouble on the way is told on w, and no more than that: it may be over when the first
// question is asked.
//
// An account that was checked knows more of 4200, which on POST /v3/chat may as well
// be said of a bad token or the wrong region.
func (a *account) preflight(ctx context.Context, w io.Writer, again string) error {
	client, closeIdle := a.client(1)
	defer closeIdle()
	limited, cancel := context.WithTimeoutCause(ctx, preflightTime, coze.ErrNoReply)
	defer cancel()
	err := client.Check(limited)
	if err == nil {
		a.codes, err = acceptedHere(a.codes)
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch e, _ := errors.AsType[*coze.Error](err); {
	case e == nil:
		return err
	case e.Class == coze.ClassAuth, e.Class == coze.ClassEndpoint:
		return &stoppedError{class: e.Class, err: e, again: again}
	case e.Class == coze.ClassInvalid:
		return &hintedError{err: e, hint: e.Hint()}
	}
	fmt.Fprintf(w, "cozeq: could not check the token, going on: %v\n", err)
	fmt.Fprintln(w, "hint: if it stays so, check --coze-base or COZE_API_BASE and the way to Coze: 'cozeq doctor' looks at both")
	return nil
}

// What 4200 and 4006 mean once the token is known to be good.
var hintAccepted = coze.Text{
	EN: "The token is accepted here, so it is the bot: check its id, that it is published to the API channel, and that the token may use its workspace.",
	ZH: "令牌在这里有效，问题出在智能体：请检查智能体 ID，并确认它已发布到 API 渠道，且令牌有权使用其所在的工作空间。",
}

// acceptedHere is the table with those rows, unless somebody has changed them.
func acceptedHere(codes *coze.CodeTable) (*coze.CodeTable, error) {
	type words struct {
		Hint string `json:"hint"`
	}
	type row struct {
		words
		ZH words `json:"zh"`
	}
	changes := map[string]row{}
	for _, code := range []int{4006, 4200} {
		now, _ := codes.Lookup(code)
		if builtin, _ := coze.DefaultCodes().Lookup(code); now.Hint == builtin.Hint {
			changes[fmt.Sprint(code)] = row{words{hintAccepted.EN}, words{hintAccepted.ZH}}
		}
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return nil, err
	}
	return codes.Override(strings.NewReader(string(text)))
}
