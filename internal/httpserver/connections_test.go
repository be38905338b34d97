package httpserver

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// keep asks for /healthz on a connection of its own and keeps that open.
func keep(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	return conn
}

// Clients that keep their connections open keep nobody out: the one that was idle longest
// is closed for a new one.
func TestSiteClosesIdleConnections(t *testing.T) {
	t.Parallel()
	const most = 4
	web, err := Start(t.Context(), "127.0.0.1:0", Config{Ready: func(context.Context) error { return nil }, connections: most}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	addr := strings.TrimPrefix(web.URL, "http://")
	var all []net.Conn
	for range 5 * most {
		all = append(all, keep(t, addr))
	}
	// Which of the last few go is not sure: the server may note late that one is idle.
	closed := make(chan error, len(all))
	for _, conn := range all[:len(all)-1] {
		go func() {
			_, err := conn.Read(make([]byte, 1))
			closed <- err
		}()
	}
	for range 4 * most {
		if err := <-closed; err == nil || os.IsTimeout(err) {
			t.Fatalf("too many connections are open: %v", err)
		}
	}
	// The newest is not among those that had to go.
	fmt.Fprint(all[len(all)-1], "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(all[len(all)-1]), nil); err != nil {
		t.Errorf("the newest connection was closed: %v", err)
	}
}

// Where all connections are at work new ones wait, and each is served in the end.
func TestSiteWaitsForBusyConnections(t *testing.T) {
	t.Parallel()
	const most, clients = 2, 50
	var running, highest atomic.Int32
	sent := make(chan struct{})
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		defer running.Add(-1)
		for was := highest.Load(); n > was && !highest.CompareAndSwap(was, n); was = highest.Load() {
		}
		<-sent
	})
	web, err := Start(t.Context(), "127.0.0.1:0", Config{Metrics: slow, connections: most}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	var all []net.Conn
	for range clients {
		conn, err := net.Dial("tcp", strings.TrimPrefix(web.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		all = append(all, conn)
	}
	close(sent)
	for _, conn := range all {
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", response, err)
		}
	}
	if n := highest.Load(); n > most {
		t.Errorf("%d requests at a time, want at most %d", n, most)
	}
}

func TestSiteConnections(t *testing.T) {
	for _, tt := range []struct {
		limit       uint64
		concurrency int
		want        int
	}{
		{256, 64, 64}, {256, 150, 24}, {256, 200, 4}, {64, 64, 4}, {1 << 20, 10_000, 64},
	} {
		if got := connectionsFor(tt.limit, descriptorsOf(tt.concurrency), mostConnections); got != tt.want {
			t.Errorf("with %d descriptors and %d chats: %d connections, want %d", tt.limit, tt.concurrency, got, tt.want)
		}
	}
}
