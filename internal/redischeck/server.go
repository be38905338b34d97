package redischeck

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// Server checks the Redis behind a client, at every master if it is a cluster. An error means that it could not be reached:
// it comes from ctx or the connection. What a server refuses to tell is a finding of status Skip.
//
// It takes a few round trips for each server. One key that lives 5 s is written, to see that scripts may write.
func Server(ctx context.Context, rdb redis.UniversalClient) ([]Finding, error) {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		s, err := ask(ctx, rdb, rediskey.Check(rand.Text()))
		if err != nil {
			return nil, err
		}
		return s.findings(), nil
	}
	keys, err := keysOf(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var nodes []node
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		addr := master.Options().Addr
		s, err := ask(ctx, master, keys[addr])
		if err != nil {
			return fmt.Errorf("%s: %w", addr, err)
		}
		s.inCluster = true
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, node{addr, s.findings()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, errNoMaster
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.addr, b.addr) })
	return merged(nodes), nil
}

var errNoMaster = errors.New("the cluster has no master")

// state is what one server reports.
type state struct {
	info, config map[string]string // nil: the server does not tell
	wrote        error             // why a script could not write
	noKey        bool              // it was not tried
	inCluster    bool              // and the client knows it
}

func ask(ctx context.Context, rdb redis.Cmdable, key string) (state, error) {
	var s state
	// One by one, not in a pipeline: a server that refuses one command still answers the others.
	text, err := rdb.Info(ctx).Result()
	if s.info = ParseInfo(text); err != nil {
		if !refused(err) {
			return s, err
		}
		s.info = nil
	}
	for _, name := range []string{"maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save"} {
		values, err := rdb.ConfigGet(ctx, name).Result()
		if err != nil && !refused(err) {
			return s, err
		}
		if err == nil && len(values) > 0 {
			if s.config == nil {
				s.config = map[string]string{}
			}
			maps.Copy(s.config, values)
		}
	}
	if key == "" {
		s.noKey = true
		return s, nil
	}
	if s.wrote = write(ctx, rdb, key); s.wrote != nil && !refused(s.wrote) {
		return s, s.wrote
	}
	return s, nil
}

// refused reports whether err is the server's refusal of this one command. A missing reply is none, nor is an error that any
// command would get.
func refused(err error) bool {
	_, answered := errors.AsType[redis.Error](err)
	return answered && !redis.IsAuthError(err) && !redis.IsLoadingError(err) && !redis.IsMaxClientsError(err)
}

// ParseInfo reads the lines of INFO, or of CLUSTER INFO, all sections together: their names are apart.
func ParseInfo(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	return values
}

// value is what INFO says, else CONFIG GET. Either name may be empty.
func (s state) value(info, config string) (string, bool) {
	if v, ok := s.info[info]; ok {
		return v, true
	}
	v, ok := s.config[config]
	return v, ok
}

// number is such a value; ok is false where it is none.
func (s state) number(info, config string) (n int64, ok bool) {
	v, ok := s.value(info, config)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil
}

// findings are always the same ones in the same order: merged lays those of several servers side by side.
func (s state) findings() []Finding {
	return []Finding{s.role(), s.version(), s.eviction(), s.memory(), s.persistence(), s.writes()}
}

func untold(name, what string) Finding {
	return Finding{Name: name, Status: Skip, Detail: what + " not known: this user may not ask for it (INFO, CONFIG GET)"}
}
