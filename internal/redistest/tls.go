package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// TLS makes servers encrypt all traffic, with certificates of an authority that exists for this option's value alone.
// All servers that are given one and the same value trust each other. Clients need no certificate, unless
// Config("tls-auth-clients", "yes") is added.
func TLS() Option {
	a := &authority{}
	return func(c *config) { c.tls = a }
}

// Names of a server's files with TLS.
const (
	caFile   = "ca.pem"
	certFile = "cert.pem"
	keyFile  = "key.pem"
)

// CAFile is the path of the certificate that all servers of one TLS option are signed with.
func (s *Server) CAFile() string { return filepath.Join(s.dir, caFile) }

// CertFile is the path of a certificate that goes with KeyFile, good for the server and for a client of it.
func (s *Server) CertFile() string { return filepath.Join(s.dir, certFile) }

func (s *Server) KeyFile() string { return filepath.Join(s.dir, keyFile) }

func tlsArgs(dir string) []string {
	return []string{
		"--tls-ca-cert-file", filepath.Join(dir, caFile), "--tls-cert-file", filepath.Join(dir, certFile),
		"--tls-key-file", filepath.Join(dir, keyFile), "--tls-auth-clients", "no",
		"--tls-replication", "yes", "--tls-cluster", "yes",
	}
}

// authority signs the certificates of servers.
type authority struct {
	once sync.Once
	err  error
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func (a *authority) make() error {
	a.once.Do(func() {
		if a.key, a.err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); a.err != nil {
			return
		}
		template := certificate("redistest authority")
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign
		var der []byte
		if der, a.err = x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key); a.err != nil {
			return
		}
		a.cert, a.err = x509.ParseCertificate(der)
	})
	return a.err
}

// issue writes the authority's certificate, and one of a new key for 127.0.0.1 and localhost, into a directory.
func (a *authority) issue(dir string) error {
	if err := a.make(); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificate("redistest server")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.IPAddresses, template.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]pem.Block{
		caFile:   {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// client is how a client trusts the authority, with the certificate of a directory as its own; nil without an
// authority.
func (a *authority) client(dir string) *tls.Config {
	if a == nil {
		return nil
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		panic(fmt.Sprint("read what issue wrote: ", err))
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
}

func certificate(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(fmt.Sprint("no random numbers: ", err))
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}
