package redistest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// The user that the rules for production have, with the password that it gets here. Its name on a line is followed by
// the place of the password's hash.
const (
	aclUser     = "cozeq"
	aclPassword = "not-a-secret"
	aclHash     = "SHA256-OF-THE-PASSWORD"
)

// aclAdmin may do everything; it is the user of a [Server]'s own client.
const aclAdmin = "redistest"

// ACL gives the server the users of deploy/redis/users.acl, the rules that production is told to have, and beside them
// one for the test's own client. The address of the user cozeq is [Server.UserURL].
func ACL() Option { return func(c *config) { c.acl = true } }

func (s *Server) UserURL() string { return s.url(url.UserPassword(aclUser, aclPassword)) }

func (c *Cluster) UserURL() string {
	return c.url(url.UserPassword(aclUser, aclPassword).String() + "@")
}

// UserURL is URL for the user cozeq of a group with ACL. The sentinels themselves want no password.
func (s *Sentinel) UserURL() string {
	return s.url(url.UserPassword(aclUser, aclPassword).String() + "@")
}

func writeUsers(dir string) (string, error) {
	rules, err := os.ReadFile(filepath.Join(moduleDir(), "deploy", "redis", "users.acl"))
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(aclPassword))
	text := strings.ReplaceAll(string(rules), aclHash, hex.EncodeToString(hash[:]))
	text += "user " + aclAdmin + " on nopass ~* &* +@all\n"
	path := filepath.Join(dir, "users.acl")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// moduleDir is the directory of go.mod: tests run in their packages'.
func moduleDir() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, found := os.Stat(filepath.Join(dir, "go.mod")); found == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
}

// Denied returns what users have tried in vain since the server began, a line each.
func (s *Server) Denied() []string {
	s.t.Helper()
	// Not the test's context: that one has ended when a Cleanup asks.
	log, err := s.client.ACLLog(context.Background(), 100).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, entry := range log {
		lines = append(lines, fmt.Sprintf("%s may not: %s %s", entry.Username, entry.Reason, entry.Object))
	}
	return lines
}

// admins are the clients of servers' own users, by the clients that may do less.
var admins sync.Map

// asUser returns a client of the user cozeq, and checks at the end of the test that it was denied nothing.
func asUser(t testing.TB) redis.UniversalClient {
	t.Helper()
	s := start(t, ACL())
	o := s.options(s.Addr())
	o.Username, o.Password = aclUser, aclPassword
	rdb := redis.NewClient(o)
	admins.Store(rdb, s.client)
	t.Cleanup(func() {
		for _, line := range s.Denied() {
			t.Error(line)
		}
		rdb.Close()
		admins.Delete(rdb)
	})
	return rdb
}
