package cozetest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// BenchmarkStream is the fake's own share of a benchmark that it serves: chats
// of 200 deltas without a network, with the memory bounds of a soak run.
func BenchmarkStream(b *testing.B) {
	fake, err := cozetest.NewHandler(cozetest.Config{
		Deltas: 200, KeepLog: 100, Forget: 1, Answer: func(string) string { return strings.Repeat("数据 ", 200) }})
	if err != nil {
		b.Fatal(err)
	}
	defer fake.Close()
	const body = `{"bot_id":"1","user_id":"u","stream":true,"additional_messages":[{"role":"user","content":"q","content_type":"text"}]}`
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest("POST", "/v3/chat", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer x")
		clear(w.header)
		fake.ServeHTTP(w, req)
	}
	b.SetBytes(w.n / int64(b.N))
	b.ReportMetric(float64(b.N*200)/b.Elapsed().Seconds(), "deltas/s")
}

type discard struct {
	header http.Header
	n      int64
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return len(p), nil
}

var _ io.Writer = (*discard)(nil)
