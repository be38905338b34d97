package watch_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/sse"
	"github.com/cozeq/cozeq/results"
)

// BenchmarkIdle holds 5,000 event streams of queued tasks open over HTTP, and reports what each takes in this process: the
// connection, its goroutines, the watcher, and 1 or 2 KiB for the client's end, which is here, too.
func BenchmarkIdle(b *testing.B) {
	const watchers = 5000
	for b.Loop() {
		rdb := redistest.Start(b).Client()
		h := newHouse(b, rdb)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			events, err := sse.Start(w, r)
			if err != nil {
				return
			}
			defer events.Close()
			for e, err := range h.hub.Watch(r.Context(), r.URL.Path[1:], sse.LastEventID(r)) {
				data, _ := json.Marshal(e.Status)
				if err != nil || events.Event(e.ID, string(e.Type), data) != nil {
					return
				}
			}
		}))
		entries := make([]record.Entry, watchers)
		for i := range entries {
			entries[i].Result = results.Result{ID: fmt.Sprint("t", i), Queue: "default"}
		}
		if _, errs := h.records.CreateMany(b.Context(), entries); errs[0] != nil {
			b.Fatal(errs[0])
		}
		debug.FreeOSMemory()
		before := rss(b)
		conns := make([]net.Conn, watchers)
		for i := range conns {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			conns[i] = conn
			if _, err := fmt.Fprintf(conn, "GET /t%d HTTP/1.0\r\n\r\n", i); err != nil {
				b.Fatal(err)
			}
		}
		small := bufio.NewReaderSize(nil, 512)
		for _, conn := range conns {
			small.Reset(conn)
			for line := ""; !strings.Contains(line, "queued"); {
				var err error
				if line, err = small.ReadString('\n'); err != nil {
					b.Fatal(err)
				}
			}
		}
		debug.FreeOSMemory()
		b.ReportMetric(float64(rss(b)-before)/watchers/1024, "KiB/watcher")
		list, err := rdb.ClientList(b.Context()).Result()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(strings.Count(list, "\n")), "connections")
		for _, conn := range conns {
			conn.Close()
		}
		server.CloseClientConnections()
		server.Close()
	}
	b.ReportMetric(0, "ns/op")
}

// rss is the resident memory of this process in bytes.
func rss(tb testing.TB) int64 {
	tb.Helper()
	f, err := os.Open("/proc/self/statm")
	if err != nil {
		tb.Skip("no /proc here")
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		tb.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
