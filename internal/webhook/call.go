package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
)

// Bounds of a call.
const (
	maxReply    = 256 << 10 // bytes of an answer; more is a failure
	maxComplain = 800       // bytes of the answer that a failure quotes
	callTries   = 3
)

var callPace = backoff.Policy{First: 200 * time.Millisecond, Most: 2 * time.Second, Jitter: 0.5}

func (c *Client) HasSecret(name string) bool { return len(c.keysOf("", name)) > 0 }

// Call posts a body to a target and returns what it answers, for as long as ctx. Any status but 2xx is a failure, which quotes the
// answer's beginning. An error says nothing of addresses that are not public.
//
// It is tried again only while there is no connection: then nothing was sent. After any other fault the receiver may have done its
// work, and a status is an answer. Each call has a connection of its own: the receiver may close a kept one at the moment of the
// call, and then it is unknown whether the call arrived.
func (c *Client) Call(ctx context.Context, t Target, id string, body []byte) (string, error) {
	t, to, err := c.complete(t)
	if err != nil {
		return "", err
	}
	keys := c.keysOf(t.Tenant, t.Secret)
	if len(keys) == 0 { // it has just been taken away
		return "", t.invalid(ofSecret, "there is none of this name any more")
	}
	waits := callPace.Start()
	for try := 1; ; try++ {
		resp, err := c.send(ctx, to, keys, id, body, true)
		if err == nil {
			defer resp.Body.Close()
			return answerOf(resp.Body, judge(resp, time.Now()))
		}
		op, dialing := errors.AsType[*net.OpError](err)
		closed, blocked := errors.AsType[*BlockedError](err)
		dns, unknown := errors.AsType[*net.DNSError](err)
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case blocked && closed.Plain:
			return "", fmt.Errorf("http goes to addresses of --webhook-allow only, and that of %s is none: use https", to.Hostname())
		case blocked:
			return "", fmt.Errorf("%s has no public address: the operator can allow its network with --webhook-allow", to.Hostname())
		case !dialing || op.Op != "dial":
			return "", fmt.Errorf("the call of %s broke off: %w", to.Host, err)
		case try < callTries && waits.Sleep(ctx, 0) == nil:
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case unknown:
			return "", fmt.Errorf("no address of %s: %s", to.Hostname(), dns.Err)
		default:
			return "", fmt.Errorf("no connection to %s: %w", to.Host, op.Err)
		}
	}
}

func answerOf(body io.Reader, a attempt) (string, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxReply+1))
	switch {
	case a.outcome != delivered:
		if said := strings.TrimSpace(cut(strings.ToValidUTF8(string(text), ""), maxComplain)); said != "" {
			a.why += ": " + said
		}
		return "", errors.New(a.why)
	case err != nil:
		return "", fmt.Errorf("its answer broke off: %w", err)
	case len(text) > maxReply:
		return "", fmt.Errorf("it answered with more than %d bytes", maxReply)
	}
	return string(text), nil
}
