package remoteredis

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestParseRedis(t *testing.T) {
	tests := []struct {
		url, addr string
		check     func(redis.UniversalClient) bool
	}{
		{"redis://localhost", "localhost", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.Addr == "localhost:6379" && o.DB == 0 && o.TLSConfig == nil && o.PoolSize == 20
		}},
		{"redis://me:s3cret@h:7000/3?pool_size=5", "h:7000", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.Addr == "h:7000" && o.DB == 3 && o.Username == "me" && o.Password == "s3cret" && o.PoolSize == 5
		}},
		{"redis://:s3%40cret%2F@h/0", "h", func(c redis.UniversalClient) bool {
			return c.(*redis.Client).Options().Password == "s3@cret/"
		}},
		{"rediss://:s3cret@h:7000", "h:7000", func(c redis.UniversalClient) bool {
			return c.(*redis.Client).Options().TLSConfig.ServerName == "h"
		}},
		{"redis://[::1]:7000/1", "[::1]:7000", func(c redis.UniversalClient) bool {
			return c.(*redis.Client).Options().Addr == "[::1]:7000"
		}},
		{"redis-socket:///run/redis.sock?db=2", "/run/redis.sock", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.Network == "unix" && o.Addr == "/run/redis.sock" && o.DB == 2
		}},
		{"redis-socket://:s3cret@/run/redis.sock", "/run/redis.sock", func(c redis.UniversalClient) bool {
			return c.(*redis.Client).Options().Password == "s3cret"
		}},
		{"redis-sentinel://:s3cret@h1,h2:26380/4?master=main&sentinel_password=s3cret2", "h1,h2:26380", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.DB == 4 && o.Password == "s3cret" && o.Addr == "FailoverClient"
		}},
		{"redis-cluster://:s3cret@h1:7000,h2:7001,h3", "h1:7000,h2:7001,h3", func(c redis.UniversalClient) bool {
			o := c.(*redis.ClusterClient).Options()
			return strings.Join(o.Addrs, " ") == "h1:7000 h2:7001 h3:6379" && o.Password == "s3cret" && o.TLSConfig == nil
		}},
		{"redis-cluster://h1:7000,h2:7001?tls=true", "h1:7000,h2:7001", func(c redis.UniversalClient) bool {
			o := c.(*redis.ClusterClient).Options()
			return o.TLSConfig.ServerName == "h1" && o.ClusterStateReloadInterval == clusterStale && o.DialerRetries == groupDials
		}},
		{"redis-cluster://h1:7000?tls=true&skip_verify=true&dialer_retries=3", "h1:7000", func(c redis.UniversalClient) bool {
			o := c.(*redis.ClusterClient).Options()
			return o.TLSConfig.InsecureSkipVerify && o.DialerRetries == 3
		}},
		{"redis-sentinel://h1/0?master=m&tls=true&server_name=redis.example", "h1", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.TLSConfig.ServerName == "redis.example" && !o.TLSConfig.InsecureSkipVerify && o.DialerRetries == groupDials
		}},
		{"rediss://h/0?server_name=redis.example&pool_size=3", "h", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.TLSConfig.ServerName == "redis.example" && o.TLSConfig.MinVersion == tls.VersionTLS12 && o.PoolSize == 3
		}},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			r, err := Parse(tt.url, 20)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Client.Close()
			if r.Addr != tt.addr {
				t.Errorf("addr %q, want %q", r.Addr, tt.addr)
			}
			if !tt.check(r.Client) {
				t.Errorf("options are not the URL's")
			}
		})
	}
}

func TestParseRedisRefuses(t *testing.T) {
	tests := []struct{ url, want string }{
		{"localhost:6379", "not a URL"},
		{"http://:s3cret@h", `scheme "http"`},
		{"redis://:s3cret@h:port", "not a URL"},
		{"redis://:s3cret@h/db", "database number"},
		{"redis://:s3cret@h?colour=red", "unexpected option"},
		{"redis-socket://:s3cret@", "empty unix socket path"},
		{"redis-sentinel://:s3cret@h1,h2/0", "master's name"},
		{"redis-sentinel://:s3cret@h1,/0?master=m", "empty host"},
		{"redis-cluster://:s3cret@h1:7000/1", "no databases"},
		{"redis-cluster://:s3cret@h1:7000,h2:port", `"h2:port" in the list`},
		{"redis://:s3cret%zz@h", "not a URL"},
		{"redis://:s3cret@h?a=%zz", "not a URL"},
		{"redis://:s3cret@h?ca=ca.pem", "write rediss://"},
		{"redis-cluster://:s3cret@h?server_name=n", "add tls=true"},
		{"redis-sentinel://:s3cret@h/0?master=m&cert=c&key=k", "add tls=true"},
		{"redis-socket://:s3cret@/run/redis.sock?ca=ca.pem", "a socket has none"},
		{"rediss://:s3cret@h?skip_verify=maybe", `"maybe", want true or false`},
		{"rediss://:s3cret@h?ca=", "option ca is empty"},
		{"rediss://:s3cret@h?ca=testdata/nothing.pem", "option ca: open testdata/nothing.pem"},
		{"rediss://:s3cret@h?ca=redis.go", "no certificate in redis.go"},
		{"rediss://:s3cret@h?key=key.pem", "cert and key go together"},
		{"rediss://:s3cret@h?cert=redis.go&key=redis.go", "options cert and key"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			r, err := Parse(tt.url, 1)
			if err == nil {
				r.Client.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

// Whatever the URL is, there is a client or an error, and no password in what is
// printed of it.
func FuzzParseRedis(f *testing.F) {
	f.Add("redis", "localhost:6379/0")
	f.Add("redis-sentinel", "h1,h2:26379/0?master=m")
	f.Add("redis-cluster", "h1:7000,[::1]:7001?tls=true")
	f.Add("redis-socket", "/run/redis.sock?db=1")
	f.Add("rediss", "h:6379?skip_verify=true")
	f.Add("rediss", "h:6379?ca=ca.pem&cert=cert.pem&key=key.pem&server_name=n")
	const password = "Zq9Xv7Kp"
	f.Fuzz(func(t *testing.T, scheme, rest string) {
		if strings.ContainsAny(rest, "@") || strings.Contains(rest, password) || strings.Contains(scheme, "://") {
			t.Skip()
		}
		r, err := Parse(scheme+"://user:"+password+"@"+rest, 1)
		if err != nil {
			if strings.Contains(err.Error(), password) {
				t.Errorf("the password is in %q", err)
			}
			return
		}
		defer r.Client.Close()
		if text := (&Error{addr: r.Addr, err: errors.New("x")}).Error(); strings.Contains(text, password) {
			t.Errorf("the password is in %q", text)
		}
	})
}
