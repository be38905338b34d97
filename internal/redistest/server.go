package redistest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// requireEnv set to 1 makes a missing redis-server a failure: a skipped test says "ok" in CI, and nobody looks.
const requireEnv = "COZEQ_REQUIRE_REDIS"

// startTimeout bounds the wait for a server to answer. It takes some 20 ms; a crowded machine may take seconds.
const startTimeout = 30 * time.Second

// Server is a redis-server process that belongs to one test.
type Server struct {
	t      testing.TB
	binary string
	dir    string
	config config
	port   int // 0 with a Unix socket
	bus    int // port of a cluster's own traffic, 0 outside a cluster

	process *process
	paused  bool
	client  *redis.Client
}

type config struct {
	binary   string // "" is redis-server
	unix     bool
	cluster  bool
	replicas int        // of each master, see Replicas
	tls      *authority // nil: not encrypted
	acl      bool
	fsync    string // "" keeps nothing on disk
	extra    []string
	file     string // read before all other settings, and written by a sentinel
}

// Option is a setting of [Start], [StartSentinel] and [StartCluster].
type Option func(*config)

// AppendOnly turns the append-only file on, so that data outlive Kill and Restart. fsync is Redis' appendfsync:
// "always" (nothing that was answered is lost) or "everysec".
func AppendOnly(fsync string) Option { return func(c *config) { c.fsync = fsync } }

// Unix makes the server listen on a Unix socket in its directory, and on no port.
func Unix() Option { return func(c *config) { c.unix = true } }

// Valkey takes a valkey-server in the place of redis-server. Without one on PATH the test is skipped, also where
// COZEQ_REQUIRE_REDIS=1: not every system has it.
func Valkey() Option { return func(c *config) { c.binary = "valkey-server" } }

// Config sets one more line of redis.conf, for instance Config("maxmemory", "2mb").
func Config(name string, values ...string) Option {
	return func(c *config) { c.extra = append(append(c.extra, "--"+name), values...) }
}

// Start starts a redis-server for the time of the test and waits until it answers.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	skipElsewhere(t)
	return start(t, opts...)
}

func start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := prepare(t, opts...)
	s.start()
	return s
}

func prepare(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{t: t}
	for _, opt := range opts {
		opt(&s.config)
	}
	s.binary = lookFor(t, s.config.binary)

	// Not t.TempDir: that one carries the test's name, and a Unix socket's path ends at 104 bytes.
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() {
		if s.client != nil {
			s.client.Close()
		}
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the server's directory: %v", err)
		}
	})
	if s.config.tls != nil {
		if err := s.config.tls.issue(dir); err != nil {
			t.Fatalf("make certificates: %v", err)
		}
	}
	if s.config.acl {
		path, err := writeUsers(dir)
		if err != nil {
			t.Fatalf("make users: %v", err)
		}
		s.config.extra = append(s.config.extra, "--aclfile", path, "--masteruser", aclAdmin, "--masterauth", aclPassword)
	}
	return s
}

// lookFor finds the server's program, redis-server if name is empty.
func lookFor(t testing.TB, name string) string {
	t.Helper()
	if name != "" {
		binary, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("no %s on PATH", name)
		}
		return binary
	}
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv(requireEnv) == "1" {
			t.Fatalf("no redis-server on PATH and %s=1: install it (make test does)", requireEnv)
		}
		t.Skip("no redis-server on PATH: install it, or run make test, which does")
	}
	return binary
}

// start starts the process on a free port and waits until it answers.
func (s *Server) start() {
	s.t.Helper()
	// A free port may be taken before the server binds it: then the server exits, and another port is tried.
	for attempt := 0; ; attempt++ {
		if !s.config.unix {
			s.port = freePort(s.t)
		}
		err := s.launch()
		if err == nil {
			break
		}
		if attempt == 4 || !errors.Is(err, errExited) {
			s.t.Fatalf("start redis-server: %v", err)
		}
	}
	s.client = redis.NewClient(s.options(s.Addr()))
}

// Addr is the server's address: host:port, or the path of its socket.
func (s *Server) Addr() string {
	if s.config.unix {
		return filepath.Join(s.dir, "redis.sock")
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// URL is the server's address as REDIS_URL takes it: redis://, rediss:// or redis-socket://.
func (s *Server) URL() string { return s.url(nil) }

func (s *Server) url(who *url.Userinfo) string {
	u := &url.URL{Scheme: "redis", User: who, Host: s.Addr(), Path: "/0"}
	switch {
	case s.config.unix:
		u.Scheme, u.Host, u.Path = "redis-socket", "", s.Addr()
	case s.config.tls != nil:
		u.Scheme, u.RawQuery = "rediss", url.Values{"ca": {s.CAFile()}}.Encode()
	}
	return u.String()
}

// Client returns the server's client, the same at each call. It outlives Kill and Restart and is closed with the test.
func (s *Server) Client() redis.UniversalClient { return s.client }

// Kill ends the server as kill -9 does and returns when it is gone. A server that is gone already is left alone.
func (s *Server) Kill() {
	if s.process != nil {
		s.process.kill()
	}
}

func (s *Server) answering() bool {
	select {
	case <-s.process.done:
		return false
	default:
		return !s.paused
	}
}

// Restart starts the server again at the same address and on the same files, killing it first if it runs, and waits
// until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.launch(); err != nil {
		s.t.Fatalf("restart redis-server: %v", err)
	}
}

// Appended is the length of the append-only file, in bytes.
func (s *Server) Appended() int64 {
	s.t.Helper()
	info, err := os.Stat(s.appendOnlyFile())
	if err != nil {
		s.t.Fatalf("append-only file: %v", err)
	}
	return info.Size()
}

// CutAppended cuts the append-only file back to a length that it had, as a loss of power does: what was written since is
// lost. The server must be down.
func (s *Server) CutAppended(length int64) {
	s.t.Helper()
	if err := os.Truncate(s.appendOnlyFile(), length); err != nil {
		s.t.Fatalf("cut the append-only file: %v", err)
	}
}

func (s *Server) appendOnlyFile() string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("append-only files %q, %v, want one", files, err)
	}
	return files[0]
}

// Pause stops the server as SIGSTOP does: connections stay open and nothing is answered, from when Pause returns until
// Resume. Where the system has no such thing (only Linux is supported) the test is skipped.
func (s *Server) Pause() {
	s.t.Helper()
	s.must("pause", s.process.pause())
	s.paused = true
}

func (s *Server) Resume() {
	s.t.Helper()
	s.must("resume", s.process.resume())
	s.paused = false
}

func (s *Server) must(what string, err error) {
	s.t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		s.t.Skipf("%s redis-server: %v", what, err)
	}
	if err != nil {
		s.t.Fatalf("%s redis-server: %v", what, err)
	}
}

// launch starts the process and waits until it answers. Its error is errExited where the process ended by itself.
func (s *Server) launch() error {
	p, err := startProcess(s.binary, s.args(), s.dir)
	if err != nil {
		return err
	}
	s.process, s.paused = p, false

	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	o := s.options(s.Addr())
	o.MaxRetries, o.DialerRetries = -1, 1 // the loop below is the retry, twenty times as quick
	probe := redis.NewClient(o)
	defer probe.Close()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		err := s.answers(ctx, probe)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%w: %s", errExited, p.output())
		case <-ctx.Done():
			p.kill()
			return fmt.Errorf("no answer in %v (%w): %s", startTimeout, err, p.output())
		case <-poll.C:
		}
	}
}

// answers checks that the server is up, has loaded its files, and is ours: when its port was taken, another test's
// server may be the one that answers there.
func (s *Server) answers(ctx context.Context, probe *redis.Client) error {
	if err := probe.Ping(ctx).Err(); err != nil {
		return err
	}
	info, err := probe.InfoMap(ctx, "server").Result()
	if err != nil {
		return err
	}
	if pid := info["Server"]["process_id"]; pid != strconv.Itoa(s.process.pid()) {
		return fmt.Errorf("process %s answers at %s, not ours", pid, s.Addr())
	}
	return nil
}

func (s *Server) args() []string {
	var args []string
	if s.config.file != "" {
		args = append(args, s.config.file)
	}
	args = append(args, "--dir", s.dir, "--daemonize", "no")
	if s.config.file == "" {
		args = append(args, "--save", "", "--maxmemory-policy", "noeviction") // as asynq needs it
		args = append(args, "--repl-diskless-sync-delay", "0")                // no second replica to wait 5 s for
	}
	switch port := strconv.Itoa(s.port); {
	case s.config.unix:
		args = append(args, "--port", "0", "--unixsocket", s.Addr())
	case s.config.tls != nil:
		args = append(args, "--port", "0", "--tls-port", port, "--bind", "127.0.0.1")
		args = append(args, tlsArgs(s.dir)...)
	default:
		args = append(args, "--port", port, "--bind", "127.0.0.1")
	}
	if s.config.cluster {
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(s.bus))
	}
	if s.config.fsync != "" {
		args = append(args, "--appendonly", "yes", "--appendfsync", s.config.fsync)
	}
	return append(args, s.config.extra...)
}

func (s *Server) options(addr string) *redis.Options {
	o := &redis.Options{Addr: addr, Network: "tcp", ContextTimeoutEnabled: true, TLSConfig: s.config.tls.client(s.dir)}
	if filepath.IsAbs(addr) {
		o.Network = "unix"
	}
	if s.config.acl {
		o.Username, o.Password = aclAdmin, aclPassword
	}
	return o
}

// freePort finds a port that nobody listens on, below the range that systems give to outgoing connections (32768 and
// up on Linux), so that nobody takes it between Kill and Restart.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port between 20000 and 32000 on 127.0.0.1")
	return 0
}
