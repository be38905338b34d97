// Package openaigo lets OpenAI's library for Go judge 'cozeq serve'. It is a package of the tools' module, as nothing else here
// wants that library.
package openaigo

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// program is a cozeq that runs, with all that it says.
type program struct {
	url string
	mu  sync.Mutex
	log bytes.Buffer
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// count is how often it has said something.
func (p *program) count(text string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.log.String(), text)
}

func build(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "cozeq")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/cozeq")
	cmd.Dir = "../../.." // the program's module
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build cozeq: %v\n%s", err, out)
	}
	return path
}

// start starts a cozeq that says its URL first, until the test ends.
func start(t *testing.T, path string, env []string, args ...string) *program {
	t.Helper()
	p := new(program)
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), p
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if p.url, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, &p.log)
	}
	p.url = strings.TrimSpace(p.url)
	return p
}

// cutting is a network before a server that breaks each first try of a request once the server has its reply.
func cutting(t *testing.T, to string) (address string) {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Stainless-Retry-Count") == "0" {
			w = httptest.NewRecorder()
			defer panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func answer(question string) string { return fmt.Sprintf("Mock answer to %q.", question) }
