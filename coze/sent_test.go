package coze_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

// Through net/http's own transport, a question is refused only where nobody can have seen it.
func TestSentThroughNetHTTP(t *testing.T) {
	hangUp := func(http2 bool) (base string, transport *http.Transport) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}))
		server.EnableHTTP2 = http2
		server.StartTLS()
		t.Cleanup(server.Close)
		transport = server.Client().Transport.(*http.Transport)
		t.Cleanup(transport.CloseIdleConnections)
		return server.URL, transport
	}
	http1, over1 := hangUp(false)
	http2, over2 := hangUp(true)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	hanging, giveUp := context.WithCancel(t.Context())
	other := new(http.Transport)
	other.RegisterProtocol("http", unsent{io.EOF})
	for name, tt := range map[string]struct {
		ctx       context.Context
		base      string
		transport *http.Transport
		class     coze.Class
		zone      coze.Zone
	}{
		"HTTP/1, hang up": {t.Context(), http1, over1, coze.ClassTransient, coze.ZoneUnknown},
		"HTTP/2, hang up": {t.Context(), http2, over2, coze.ClassTransient, coze.ZoneUnknown},
		"canceled before": {canceled, http1, over1, coze.ClassCanceled, coze.ZoneRefused},
		"canceled while it connects": {hanging, http1, &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				giveUp()
				return nil, errReset
			},
		}, coze.ClassCanceled, coze.ZoneRefused},
		"no connection": {t.Context(), http1, &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errReset },
		}, coze.ClassTransient, coze.ZoneRefused},
		"a transport within that tells nothing": {t.Context(), "http://127.0.0.1:1", other, coze.ClassTransient, coze.ZoneUnknown},
	} {
		c := &coze.Client{BaseURL: tt.base, Auth: coze.StaticToken("t"), HTTP: &http.Client{Transport: tt.transport}}
		_, err := c.Stream(tt.ctx, question())
		e, ok := errors.AsType[*coze.Error](err)
		if !ok || e.Class != tt.class || e.Zone != tt.zone {
			t.Errorf("%s: %v, zone %v; want %v, %v", name, err, e.Zone, tt.class, tt.zone)
		}
	}
}

// A question goes out with its headers, in one write.
func TestOneWrite(t *testing.T) {
	c, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, whole)
	})
	writes := countWrites(t, c)
	if got := listen(t, c, false); got.err != nil {
		t.Fatal(got.err)
	}
	if n := writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

// countWrites gives a client a transport whose connections count their writes.
func countWrites(t *testing.T, c *coze.Client) *atomic.Int32 {
	writes := new(atomic.Int32)
	transport := coze.NewTransport(1)
	t.Cleanup(transport.CloseIdleConnections)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return countedConn{conn, writes}, err
	}
	c.HTTP = &http.Client{Transport: transport}
	return writes
}

type countedConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}
