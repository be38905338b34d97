// Package remoteredis makes clients of a shared Redis by its URL, in all forms that REDIS_URL takes, and says what a person
// can do when Redis refuses. Its errors never hold the URL: there may be a password in it.
package remoteredis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/backoff"
)

// Timeout is how long a command waits for a Redis that does not answer.
const Timeout = 5 * time.Second

// Server is a Redis by its URL.
type Server struct {
	Client redis.UniversalClient
	Addr   string   // without user and password
	hosts  []string // HOST:PORT of its servers or sentinels; none for a socket
	secure bool     // the URL asks for TLS

	Watched *redis.FailoverOptions // its sentinels; nil: there are none
}

// Parse makes a client of a URL; nothing is dialled yet. Errors never hold
// the URL, as there may be a password in it.
func Parse(raw string, pool int) (*Server, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("not a URL, want one such as redis://localhost:6379/0")
	}
	user, hosts, tail := splitAuthority(rest)
	tail, secure, err := cutTLS(tail)
	if err != nil {
		return nil, err
	}
	r := &Server{Addr: hosts}
	switch scheme {
	case "redis", "rediss":
		err = r.single(scheme+"://"+user+hosts+tail, secure, "write rediss:// in place of redis://", pool)
	case "redis-socket", "unix":
		path, _, _ := strings.Cut(hosts+tail, "?")
		r.Addr = path
		err = r.single("unix://"+user+hosts+tail, secure, "a socket has none", pool)
	case "redis-sentinel":
		err = r.sentinel(user, strings.Split(hosts, ","), tail, secure, pool)
	case "redis-cluster":
		err = r.cluster(user, strings.Split(hosts, ","), tail, secure, pool)
	default:
		err = fmt.Errorf("scheme %q, want redis, rediss, redis-socket, redis-sentinel or redis-cluster", scheme)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// splitAuthority takes USER@HOSTS/TAIL apart. net/url would not have a list of
// hosts with ports in a URL. user keeps its @, tail its / or ?.
func splitAuthority(rest string) (user, hosts, tail string) {
	// A password may hold a slash or a question mark as it is; hosts and options
	// hold no @ unless it is escaped.
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, rest = rest[:i+1], rest[i+1:]
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return user, rest[:i], rest[i:]
	}
	return user, rest, ""
}

func (r *Server) single(raw string, secure redisTLS, how string, pool int) error {
	o, err := redis.ParseURL(raw)
	if err != nil {
		return withoutURL(err)
	}
	if err := secure.apply(o.TLSConfig, how); err != nil {
		return err
	}
	if o.PoolSize == 0 {
		o.PoolSize = pool
	}
	o.ContextTimeoutEnabled = true
	r.Client, r.secure = redis.NewClient(o), o.TLSConfig != nil
	if o.Network == "tcp" {
		r.hosts = []string{o.Addr}
	}
	return nil
}

// How a client of several servers finds the one that has taken a dead one's place.
const (
	// clusterStale is the age at which a cluster's client reads anew which node has
	// which slot, if it is used at all. go-redis reads it when a node answers that it
	// has a slot no longer, and a dead one does not answer: its own 60 s would be a
	// minute of errors after a fail-over that took the cluster two seconds.
	clusterStale = time.Second

	// groupDials is how often a server is dialled before another one is tried, in
	// place of go-redis' 5: what does not answer is probably dead.
	groupDials = 1
)

// tlsOption is how a URL with a list of hosts asks for TLS.
const tlsOption = "add tls=true to its options"

// sentinel takes redis-sentinel://USER:PASSWORD@H1,H2/DB?master=NAME; user and
// password are Redis' own, and the sentinels' go into sentinel_username and
// sentinel_password.
func (r *Server) sentinel(user string, hosts []string, tail string, secure redisTLS, pool int) error {
	u, err := listed(user, hosts, "26379", tail)
	if err != nil {
		return err
	}
	q := u.Query()
	master := q.Get("master")
	if master == "" {
		return errors.New("redis-sentinel needs the master's name, as redis-sentinel://host1,host2/0?master=NAME")
	}
	sentinelUser, sentinelPassword := q.Get("sentinel_username"), q.Get("sentinel_password")
	for _, name := range []string{"master", "sentinel_username", "sentinel_password"} {
		q.Del(name)
	}
	q.Set("master_name", master)
	u.RawQuery = q.Encode()
	o, err := redis.ParseFailoverURL(u.String())
	if err != nil {
		return withoutURL(err)
	}
	o.Username, o.Password = o.SentinelUsername, o.SentinelPassword
	o.SentinelUsername, o.SentinelPassword = sentinelUser, sentinelPassword
	if err := secure.apply(o.TLSConfig, tlsOption); err != nil {
		return err
	}
	o.PoolSize, o.DialerRetries = cmp.Or(o.PoolSize, pool), cmp.Or(o.DialerRetries, groupDials)
	o.ContextTimeoutEnabled = true
	r.Client, r.Watched = redis.NewFailoverClient(o), o
	r.hosts, r.secure = o.SentinelAddrs, o.TLSConfig != nil
	return nil
}

func (r *Server) cluster(user string, hosts []string, tail string, secure redisTLS, pool int) error {
	u, err := listed(user, hosts, "6379", tail)
	if err != nil {
		return err
	}
	if strings.Trim(u.Path, "/") != "" && strings.Trim(u.Path, "/") != "0" {
		return errors.New("a cluster has no databases: leave the path out")
	}
	u.Path = ""
	o, err := redis.ParseClusterURL(u.String())
	if err != nil {
		return withoutURL(err)
	}
	if err := secure.apply(o.TLSConfig, tlsOption); err != nil {
		return err
	}
	o.PoolSize, o.DialerRetries = cmp.Or(o.PoolSize, pool), cmp.Or(o.DialerRetries, groupDials)
	o.ClusterStateReloadInterval = clusterStale
	o.ContextTimeoutEnabled = true
	r.Client = redis.NewClusterClient(o)
	r.hosts, r.secure = o.Addrs, o.TLSConfig != nil
	return nil
}

// listed makes the form that go-redis reads of a list of hosts: the first in its
// place, the others as options. The option tls=true encrypts.
func listed(user string, hosts []string, port, tail string) (*url.URL, error) {
	for i, h := range hosts {
		if h == "" {
			return nil, errors.New("an empty host in the list of hosts")
		}
		if !strings.Contains(h, ":") || strings.HasSuffix(h, "]") {
			hosts[i] = h + ":" + port
		}
		if _, p, err := net.SplitHostPort(hosts[i]); err != nil || !isPort(p) {
			return nil, fmt.Errorf("%q in the list of hosts, want HOST or HOST:PORT", h)
		}
	}
	u, err := url.Parse("redis://" + user + hosts[0] + tail)
	if err != nil {
		return nil, withoutURL(err)
	}
	q := u.Query()
	for _, h := range hosts[1:] {
		q.Add("addr", h)
	}
	if q.Get("tls") == "true" {
		u.Scheme = "rediss"
	}
	q.Del("tls")
	u.RawQuery = q.Encode()
	return u, nil
}

func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

func withoutURL(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return errors.New("not a URL, want one such as redis://localhost:6379/0 (escape special characters of a password, / as %2F)")
	}
	return err
}

// Ping fails after Timeout without an answer.
func (r *Server) Ping(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, Timeout, fmt.Errorf("no answer within %v", Timeout))
	defer cancel()
	limited, stop := r.watchForPlain(limited)
	defer stop()
	err := r.Client.Ping(limited).Err()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		err = context.Cause(limited)
	case !r.secure && errors.Is(err, io.EOF) && r.speaks(limited, answersTLS):
		err = ErrOnlyTLS
	}
	return &Error{addr: r.Addr, err: err}
}

// Await pings until there is an answer, and says in the log why it waits.
func (r *Server) Await(ctx context.Context, logger *slog.Logger) error {
	waits := backoff.Policy{First: 250 * time.Millisecond, Most: 15 * time.Second}
	return waits.Retry(ctx, func() error { return r.Ping(ctx) }, func(err error, wait time.Duration) bool {
		if ctx.Err() == nil {
			logger.Warn("redis does not answer, trying again", "error", err, "in", wait)
		}
		return true
	})
}

// Log sends go-redis' own remarks, which are about connections that it goes
// on to replace, where those interested find them.
type Log struct{ Logger *slog.Logger }

func (l Log) Printf(ctx context.Context, format string, args ...any) {
	if l.Logger.Enabled(ctx, slog.LevelDebug) {
		l.Logger.DebugContext(ctx, fmt.Sprintf(format, args...), "from", "go-redis")
	}
}

// Error is a Redis that cannot be used. Its text never holds the password.
type Error struct {
	addr string
	err  error
}

func (e *Error) Error() string { return fmt.Sprintf("redis at %s: %v", e.addr, e.err) }

func (e *Error) Unwrap() error { return e.err }
