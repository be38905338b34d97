package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestIdleConnectionsLeaveRoomForChats holds 400 idle connections to a worker that may have
// 256 files open: it asks all the same.
func TestIdleConnectionsLeaveRoomForChats(t *testing.T) {
	t.Parallel()
	p := &processes{dir: t.TempDir(), redis: redistest.Start(t).URL(), fake: cozetest.New(t)}
	cozeq, err := exec.LookPath("cozeq")
	if err != nil {
		t.Fatal(err)
	}
	worker := p.command(t, "worker", "--monitor", "off", "--http", "127.0.0.1:0")
	worker.Path, worker.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -n 256; exec "$0" "$@"`, cozeq}, worker.Args[1:]...)
	said, err := worker.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Skipf("no shell: %v", err)
	}
	defer p.kill(worker)
	log := bufio.NewReader(said)
	first, _ := log.ReadString('\n')
	url := regexp.MustCompile(`"url":"http://([^/"]+)`).FindStringSubmatch(first)
	if url == nil {
		t.Fatalf("the worker says %q", first)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	awaitServed(t, p.redis)
	for range 400 {
		keepOpen(t, url[1])
	}
	ask := p.command(t, "ask", "hello?")
	defer time.AfterFunc(patience/2, func() { _ = ask.Process.Kill() }).Stop()
	if answer, err := ask.CombinedOutput(); err != nil {
		t.Errorf("ask: %v\n%s", err, answer)
	}
}

// keepOpen asks for /healthz on a connection of its own and keeps that open.
func keepOpen(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	return conn
}
