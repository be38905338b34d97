package remoteredis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redischeck"
)

// opAlert is the operation of errors that are the other side's TLS alert. crypto/tls
// does not export their type.
const opAlert = "remote error"

// Hint is what a person can do about an error of Redis', "" if only reading it
// helps.
func Hint(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "name the file with the certificate of the server's authority, as rediss://HOST:6379/0?ca=ca.pem, or in SSL_CERT_FILE"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "write the server's name as its certificate has it, or add server_name=NAME to the URL's options"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == opAlert {
		return "the server has refused this client; if it wants a certificate (tls-auth-clients), add cert=FILE and key=FILE to the URL's options"
	}
	_, noTLSHeader := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, ErrNoTLS), noTLSHeader:
		return "write redis:// in place of rediss://, leave tls=true out, or give the server's port for TLS"
	case errors.Is(err, ErrOnlyTLS):
		return "write rediss:// in place of redis://, or add tls=true to the URL's options"
	case errors.Is(err, io.EOF):
		return "check --redis or REDIS_URL; a server that speaks TLS only wants rediss://, or tls=true among the URL's options"
	case redis.IsAuthError(err):
		return "check user and password in --redis or REDIS_URL, as redis://USER:PASSWORD@HOST:6379/0"
	case redischeck.Forbidden(err):
		return "the user of the URL may not do that: docs/redis.md has the rules that cozeq needs"
	case redis.IsOOMError(err):
		return "redis is full: give it more memory (CONFIG SET maxmemory), or wait until results expire"
	case redis.IsReadOnlyError(err):
		return "this redis is a replica: use the master, or redis-sentinel://, which finds it"
	}
	return ""
}
