// Package redistest gives tests the Redis they ask for: the embedded one, or a redis-server process of their own that
// can be killed, restarted, paused and slowed down; a master with its replica and sentinels; a cluster; each of these
// with TLS and with users of few rights, where that is wanted.
//
// Each runs a test on two of them, and with COZEQ_TEST_REDIS set on another one: so the tests of the packages around
// the queue are those of every kind of Redis.
//
// It is for tests of any package here, and only for tests: it imports testing, so nothing that is linked into a
// program may import it. It is not a way to run Redis for development; docker-compose.yml is.
//
// Every server listens on a free port of the loopback interface (or on a Unix socket), never on 6379, keeps its files
// in a directory of its own, and is gone with the test; on Linux also when the test binary is killed. Without a
// redis-server on PATH such tests are skipped, or fail where COZEQ_REQUIRE_REDIS=1 (make test sets it).
package redistest
