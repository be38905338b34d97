package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/remoteredis"
	"github.com/cozeq/cozeq/internal/terminal"
)

// redis checks the shared Redis, then what is in it. It opens one connection after the other, because many connections make
// it worse for a Redis in trouble.
func (d *doctor) redis(ctx context.Context) []finding {
	const name = "redis.connect"
	switch {
	case d.remote == nil && d.cfg.Shared():
		return []finding{skipped(name, "REDIS_URL cannot be read")}
	case d.remote == nil:
		return []finding{skipped(name, "no REDIS_URL, and none is needed: run and ask keep everything in the process")}
	}
	// asynq's inspector takes no context.
	defer context.AfterFunc(ctx, func() { d.remote.Client.Close() })()
	var found []finding
	var watching sync.WaitGroup
	if d.remote.Watched != nil {
		found = make([]finding, 1)
		watching.Go(func() { found[0] = d.sentinels(ctx) })
	}
	began := time.Now()
	err := d.remote.Ping(ctx)
	took := time.Since(began)
	watching.Wait()
	if err != nil {
		return append(found, failed(name, redisFix(err), "%v", err))
	}
	found = append(found, well(name, "%s answers, the first time after %s", d.remote.Addr, millisText(took)))
	found = append(found, d.links(ctx)...)
	if cluster, ok := d.remote.Client.(*redis.ClusterClient); ok {
		found = append(found, clusterState(ctx, cluster))
	}
	found = append(found, latency(ctx, d.remote.Client), channels(ctx, d.remote.Client), redisClock(ctx, d.remote.Client))
	server, err := redischeck.Server(ctx, d.remote.Client)
	if err != nil {
		found = append(found, failed("redis.server", redisFix(err), "does not say how it is: %v", err))
	}
	for _, f := range server {
		found = append(found, finding{"redis." + f.Name, f.Status, f.Detail, f.Fix})
	}
	return append(found, d.work(ctx)...)
}

func redisFix(err error) string {
	switch {
	case redis.IsAuthError(err), redischeck.Forbidden(err):
		return "check user and password in REDIS_URL: redis://USER:PASSWORD@HOST:PORT/0, special characters escaped, / as %2F"
	case redis.IsLoadingError(err):
		return "wait until Redis has loaded its data"
	case redis.IsMaxClientsError(err):
		return "redis-cli CONFIG SET maxclients with more, or find who keeps connections open: redis-cli CLIENT LIST"
	case is[*net.DNSError](err):
		return "check the host in REDIS_URL, and this machine's name servers"
	case is[*tls.CertificateVerificationError](err):
		return "let REDIS_URL name the certificate that the server's is signed with: rediss://HOST:PORT/0?ca=FILE"
	case errors.Is(err, remoteredis.ErrNoTLS), errors.Is(err, remoteredis.ErrOnlyTLS), is[tls.RecordHeaderError](err):
		return remoteredis.Hint(err)
	}
	return "start Redis, or check host and port in REDIS_URL; a port with TLS needs rediss://"
}

// links opens a new connection to each master and checks its certificate, if it has one.
func (d *doctor) links(ctx context.Context) []finding {
	const name = "redis.tls"
	var mu sync.Mutex
	var found []finding
	look := func(ctx context.Context, client *redis.Client) error {
		o := client.Options()
		if o.TLSConfig == nil {
			return nil
		}
		conn, err := o.Dialer(ctx, o.Network, o.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		if secure, ok := conn.(*tls.Conn); ok {
			state := secure.ConnectionState()
			mu.Lock()
			defer mu.Unlock()
			found = append(found, certificate(name, &state, "renew the certificate of Redis at "+conn.RemoteAddr().String()))
		}
		return nil
	}
	var err error
	switch client := d.remote.Client.(type) {
	case *redis.Client:
		err = look(ctx, client)
	case *redis.ClusterClient:
		err = client.ForEachMaster(ctx, look)
	}
	if err != nil {
		return []finding{failed(name, redisFix(err), "%v", err)}
	}
	// One is enough: the worst.
	slices.SortStableFunc(found, func(a, b finding) int {
		switch {
		case a.Status.Worse(b.Status):
			return -1
		case b.Status.Worse(a.Status):
			return 1
		}
		return 0
	})
	return found[:min(1, len(found))]
}

func (d *doctor) sentinels(ctx context.Context) finding {
	const name = "redis.sentinels"
	limited, cancel := context.WithTimeout(ctx, remoteredis.Timeout)
	defer cancel()
	o := d.remote.Watched
	masters, errs := make([]string, len(o.SentinelAddrs)), make([]error, len(o.SentinelAddrs))
	var all sync.WaitGroup
	for i, addr := range o.SentinelAddrs {
		all.Go(func() {
			client := redis.NewSentinelClient(&redis.Options{
				Addr: addr, Username: o.SentinelUsername, Password: o.SentinelPassword, TLSConfig: o.TLSConfig,
				DialerRetries: 1, MaxRetries: -1, ContextTimeoutEnabled: true,
			})
			defer client.Close()
			pair, err := client.GetMasterAddrByName(limited, o.MasterName).Result()
			if len(pair) == 2 {
				masters[i] = net.JoinHostPort(pair[0], pair[1])
			}
			errs[i] = err
		})
	}
	all.Wait()
	var told []string
	var silent error
	for i, master := range masters {
		if master != "" {
			told = append(told, master)
		} else if silent == nil {
			silent = fmt.Errorf("%s: %w", o.SentinelAddrs[i], errs[i])
		}
	}
	n := len(masters)
	if errors.Is(silent, redis.Nil) {
		silent = fmt.Errorf("knows no master %q", o.MasterName)
	}
	switch {
	case len(told) == 0:
		return failed(name, "check hosts and master= in REDIS_URL, and sentinel_username and sentinel_password if they ask for some",
			"none of %d names a master: %v", n, silent)
	case len(slices.Compact(slices.Sorted(slices.Values(told)))) > 1:
		return warned(name, "redis-cli -p 26379 SENTINEL CKQUORUM "+o.MasterName, "they do not agree on the master: %v", told)
	case len(told) < n:
		return warned(name, "start the others, or correct their hosts in REDIS_URL", "%d of %d name %s: %v", len(told), n, told[0], silent)
	}
	return well(name, "all %d name %s the master", n, told[0])
}

func clusterState(ctx context.Context, cluster *redis.ClusterClient) finding {
	const name, fix = "redis.cluster", "redis-cli --cluster check HOST:PORT"
	text, err := cluster.ClusterInfo(ctx).Result()
	if _, refused := errors.AsType[redis.Error](err); refused {
		return skipped(name, "its state is not known: %v", err)
	}
	if err != nil {
		return failed(name, redisFix(err), "%v", err)
	}
	info := redischeck.ParseInfo(text)
	if info["cluster_state"] != "ok" || info["cluster_slots_fail"] != "0" || info["cluster_slots_pfail"] != "0" {
		return failed(name, fix, "state %s, %s of %s slots served", info["cluster_state"], info["cluster_slots_ok"], info["cluster_slots_assigned"])
	}
	return well(name, "%s masters serve all %s slots", info["cluster_size"], info["cluster_slots_ok"])
}

// Latency counts many times: a question takes some ten round trips, and a worker takes questions out one by one.
const (
	pings       = 50
	pingTime    = 2 * time.Second
	slowMedian  = 10 * time.Millisecond
	slowHighest = 100 * time.Millisecond
)

func latency(ctx context.Context, rdb redis.UniversalClient) finding {
	const name, fix = "redis.latency", "move workers and Redis nearer together; if it is the same on its own machine, redis-cli --latency and SLOWLOG GET"
	limited, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	var took []time.Duration
	for range pings {
		began := time.Now()
		if rdb.Ping(limited).Err() != nil {
			break
		}
		took = append(took, time.Since(began))
	}
	if len(took) == 0 {
		return failed(name, fix, "no answer within %v", pingTime)
	}
	slices.Sort(took)
	median, high := took[len(took)/2], took[len(took)*99/100]
	shown := fmt.Sprintf("%s in the middle, %s at the 99th percentile of %d", millisText(median), millisText(high), len(took))
	if median > slowMedian || high > slowHighest {
		return warned(name, fix, "%s", shown)
	}
	return well(name, "%s", shown)
}

// A lease ends by the clock of the worker that holds it, and the worker that sweeps judges it by its own clock. If the two
// differ by 8 s, live workers lose their tasks. Clocks that are within a second of Redis' are within two of each other.
const (
	clockWarning = time.Second
	clockFailure = 4 * time.Second
)

func redisClock(ctx context.Context, rdb redis.UniversalClient) finding {
	const name, fix = "redis.clock", "set the clocks, of this machine and that of Redis: chrony or systemd-timesyncd"
	var ahead, best time.Duration
	for i := range 3 {
		began := time.Now()
		at, err := rdb.Time(ctx).Result()
		took := time.Since(began)
		if _, refused := errors.AsType[redis.Error](err); refused {
			return skipped(name, "its time is not known: %v", err)
		}
		if err != nil {
			return failed(name, redisFix(err), "%v", err)
		}
		if i == 0 || took < best {
			best, ahead = took, began.Add(took/2).Sub(at)
		}
	}
	off, side := ahead.Abs(), "ahead of"
	if ahead < 0 {
		side = "behind"
	}
	switch {
	case off > clockFailure+best:
		return failed(name, fix, "this machine is %s %s Redis: workers would take each other's tasks for lost", terminal.Rounded(off), side)
	case off > clockWarning+best:
		return warned(name, fix, "this machine is %s %s Redis", terminal.Rounded(off), side)
	}
	return well(name, "as here, within %s", millisText(off))
}
