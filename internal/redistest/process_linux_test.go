package redistest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/redistest"
)

// holdEnv makes this test binary start a server, print its address and wait to be killed.
const holdEnv = "REDISTEST_HOLD"

// A test binary that is killed runs no cleanup; its server must go all the same.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	if os.Getenv(holdEnv) == "1" {
		fmt.Printf("\nlistens on %s\n", redistest.Start(t).Addr())
		select {}
	}
	redistest.Start(t) // skips where there is no redis-server

	binary := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTestBinary$")
	binary.Env = append(os.Environ(), holdEnv+"=1", "TMPDIR="+t.TempDir()) // nobody cleans up after it
	out, err := binary.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := binary.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = binary.Process.Kill()
		_ = binary.Wait()
	}()
	var addr string
	for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
		if after, ok := strings.CutPrefix(lines.Text(), "listens on "); ok {
			addr = after
		}
	}
	dial(t, addr, true)

	if err := binary.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	dial(t, addr, false)
}

// dial waits until addr takes connections, or until it does not.
func dial(t *testing.T, addr string, want bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		if (err == nil) == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%q takes connections: %v; want %v", addr, err == nil, want)
		}
	}
}
