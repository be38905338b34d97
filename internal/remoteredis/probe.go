package remoteredis

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"time"
)

// A URL and a port that do not agree on TLS.
var (
	ErrNoTLS   = errors.New("the server does not speak TLS on this port")
	ErrOnlyTLS = errors.New("the server speaks only TLS on this port")
)

// plainAfter is how long a TLS handshake may take before the port is tried without TLS. A Redis without TLS takes the
// handshake for a command whose end has not come yet: it never answers.
const plainAfter = 700 * time.Millisecond

// watchForPlain gives a context that ends with errNoTLS where the URL asks for TLS and the port turns out to speak
// Redis' protocol without.
func (r *Server) watchForPlain(ctx context.Context) (context.Context, func()) {
	watched, cancel := context.WithCancelCause(ctx)
	if !r.secure {
		return watched, func() { cancel(nil) }
	}
	timer := time.AfterFunc(plainAfter, func() {
		if r.speaks(watched, answersPlain) {
			cancel(ErrNoTLS)
		}
	})
	return watched, func() {
		timer.Stop()
		cancel(nil)
	}
}

func (r *Server) speaks(ctx context.Context, answers func(context.Context, net.Conn) bool) bool {
	return slices.ContainsFunc(r.hosts, func(host string) bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
		if err != nil {
			return false
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		return answers(ctx, conn)
	})
}

// answersPlain sends a PING, which holds no secret. The answer is +PONG, or an error as -NOAUTH.
func answersPlain(_ context.Context, conn net.Conn) bool {
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	var head [8]byte
	n, _ := conn.Read(head[:])
	return bytes.HasPrefix(head[:n], []byte("+PONG")) || bytes.HasPrefix(head[:n], []byte("-"))
}

// answersTLS makes a handshake; nothing is sent over it, so it does not matter whose certificate it is.
func answersTLS(ctx context.Context, conn net.Conn) bool {
	err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	alert, refused := errors.AsType[*net.OpError](err) // a server that wants a certificate may refuse us
	return err == nil || refused && alert.Op == opAlert
}
