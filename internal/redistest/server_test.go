package redistest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
)

func TestEachStartsEmpty(t *testing.T) {
	for range 2 {
		redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
			if n, err := rdb.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Fatalf("DBSIZE = %d, %v; want 0, nil", n, err)
			}
			if err := rdb.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestKillAndRestart(t *testing.T) {
	tests := []struct {
		name    string
		network string
		opts    []redistest.Option
		keys    int64
	}{
		{"memory", "tcp", nil, 0},
		{"append only", "tcp", []redistest.Option{redistest.AppendOnly("always")}, 1},
		{"unix socket", "unix", []redistest.Option{redistest.Unix(), redistest.AppendOnly("always")}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := redistest.Start(t, tt.opts...)
			addr := s.Addr()
			if err := s.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			s.Kill()
			s.Kill() // a second time is nothing
			if c, err := net.Dial(tt.network, addr); err == nil {
				c.Close()
				t.Fatal("a killed server took a connection")
			}
			s.Restart()
			if s.Addr() != addr {
				t.Fatalf("Addr() = %s after Restart, was %s", s.Addr(), addr)
			}
			n, err := s.Client().DBSize(t.Context()).Result()
			if err != nil || n != tt.keys {
				t.Fatalf("DBSIZE = %d, %v after Restart; want %d, nil", n, err, tt.keys)
			}
			s.Restart() // of a running server
			if err := s.Client().Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPause(t *testing.T) {
	s := redistest.Start(t)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Client().Ping(ctx).Err(); err == nil {
		t.Fatal("a paused server answered")
	}
	s.Resume()
	if err := s.Client().Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Pause() // and the cleanup ends a paused one
}

func TestConfig(t *testing.T) {
	s := redistest.Start(t, redistest.Config("maxmemory", "5mb"))
	for name, want := range map[string]string{"maxmemory": "5242880", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"} {
		got, err := s.Client().ConfigGet(t.Context(), name).Result()
		if err != nil || got[name] != want {
			t.Errorf("%s = %q, %v; want %q", name, got[name], err, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	tcp := redistest.Start(t)
	if _, port, err := net.SplitHostPort(tcp.Addr()); err != nil || port == "6379" {
		t.Errorf("Addr() = %s: want a host and a port that is not 6379 (%v)", tcp.Addr(), err)
	}
	if o, err := redis.ParseURL(tcp.URL()); err != nil || o.Addr != tcp.Addr() {
		t.Errorf("URL() = %s does not lead to %s (%v)", tcp.URL(), tcp.Addr(), err)
	}
	unix := redistest.Start(t, redistest.Unix())
	if got, want := unix.URL(), "redis-socket://"+unix.Addr(); got != want || !filepath.IsAbs(unix.Addr()) {
		t.Errorf("URL() = %s, want %s and an absolute path", got, want)
	}
}

// The directory goes with the test, and so does the server: nothing listens any more.
func TestNothingIsLeft(t *testing.T) {
	var addr, dir string
	t.Run("server", func(t *testing.T) {
		s := redistest.Start(t, redistest.AppendOnly("everysec"))
		got, err := s.Client().ConfigGet(t.Context(), "dir").Result()
		if err != nil {
			t.Fatal(err)
		}
		addr, dir = s.Addr(), got["dir"]
	})
	if t.Skipped() || addr == "" {
		t.Skip("no server was started")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Errorf("something still listens on %s", addr)
	}
}

// fake is a testing.TB that keeps how a test ended in place of ending it.
type fake struct {
	testing.TB
	skipped, failed string
}

func (f *fake) Helper()        {}
func (f *fake) Cleanup(func()) {}

func (f *fake) Skip(args ...any) {
	f.skipped = args[0].(string)
	panic(f)
}

func (f *fake) Fatalf(format string, _ ...any) {
	f.failed = format
	panic(f)
}

func TestWithoutRedisServer(t *testing.T) {
	tests := []struct {
		require         string
		skipped, failed bool
	}{
		{"", true, false},
		{"1", false, true},
	}
	for _, tt := range tests {
		t.Run("COZEQ_REQUIRE_REDIS="+tt.require, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			t.Setenv("COZEQ_REQUIRE_REDIS", tt.require)
			f := new(fake)
			func() {
				defer func() { _ = recover() }()
				redistest.Start(f)
			}()
			if strings.Contains(f.skipped, "redis-server") != tt.skipped || strings.Contains(f.failed, "redis-server") != tt.failed {
				t.Errorf("skipped with %q, failed with %q; want skipped %v, failed %v", f.skipped, f.failed, tt.skipped, tt.failed)
			}
		})
	}
}
