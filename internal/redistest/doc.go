// Package redistest gives tests the Redis they ask for: the embedded one, or a redis-server process of their own that
// can be killed, restarted, paused and slowed down.
//
// It is for tests of any package here, and only for tests: it imports testing, so nothing that is linked into a
// program may import it. It is not a way to run Redis for development; docker-compose.yml is.
//
// Every server listens on a free port of the loopback interface (or on a Unix socket), never on 6379, keeps its files
// in a directory of its own, and is gone with the test; on Linux also when the test binary is killed. Without a
// redis-server on PATH such tests are skipped, or fail where COZEQ_REQUIRE_REDIS=1 (make test sets it).
package redistest
