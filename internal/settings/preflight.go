package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
)

// preflightTime bounds the check of the token. Coze answers it in far less.
const preflightTime = 15 * time.Second

// Preflight asks Coze whether it accepts the token, before anything is spent. A refused token, or a base URL where something
// else answers, is a *stoppedError. A network error is only reported on w: it may be over when the first question is asked.
//
// After the check more is known about code 4200, which POST /v3/chat also gives for a bad token or the wrong region.
func (a *Account) Preflight(ctx context.Context, w io.Writer, again string) error {
	client, closeIdle := a.Client(1)
	defer closeIdle()
	limited, cancel := context.WithTimeoutCause(ctx, preflightTime, coze.ErrNoReply)
	defer cancel()
	err := client.Check(limited)
	if err == nil {
		a.Codes, err = AcceptedHere(a.Codes)
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch e, _ := errors.AsType[*coze.Error](err); {
	case e == nil:
		return err
	case e.Class == coze.ClassAuth, e.Class == coze.ClassEndpoint:
		return &exitcode.StoppedError{Class: e.Class, Err: e, Again: again}
	case e.Class == coze.ClassInvalid:
		return &exitcode.HintedError{Err: e, Hint: e.Hint()}
	}
	fmt.Fprintf(w, "cozeq: could not check the token, going on: %v\n", err)
	fmt.Fprintln(w, "hint: if it stays so, check --coze-base or COZE_API_BASE and the way to Coze: 'cozeq doctor' looks at both")
	return nil
}

// AcceptedHere is the table with those hints, unless --codes has changed them.
func AcceptedHere(codes *coze.CodeTable) (*coze.CodeTable, error) {
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
			changes[fmt.Sprint(code)] = row{words{exitcode.HintAccepted.EN}, words{exitcode.HintAccepted.ZH}}
		}
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return nil, err
	}
	return codes.Override(strings.NewReader(string(text)))
}
