package coze

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// NewTransport is an http.Transport for up to conns streams at a time. It bounds connecting and TLS (10 s each) and the
// wait for headers (60 s), never the body: an answer may take minutes. It uses HTTP/2 where the server offers it, with a
// ping after 30 s of silence to notice a dead connection. Buffers are 2 KiB for reading (three deltas) and 2 KiB for
// writing (a usual question): with thousands of streams they are most of the memory.
func NewTransport(conns int) *http.Transport {
	conns = max(conns, 1)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: connected,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           conns,
		MaxIdleConnsPerHost:    conns,
		ReadBufferSize:         2 << 10,
		WriteBufferSize:        2 << 10,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// shared is the http.Client of every Client without one: one pool of connections in the process.
var shared = sync.OnceValue(func() *http.Client {
	return NoRedirects(&http.Client{Transport: NewTransport(64)})
})
