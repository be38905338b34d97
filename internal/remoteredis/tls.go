package remoteredis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/internal/textfile"
)

// redisTLS is what a Redis URL says of TLS beyond that it is wanted. Its options are
// the same in every form of the URL:
//
//	ca=FILE                  trust these certificates, PEM, and no others
//	cert=FILE, key=FILE      the client's own, which redis-server asks for by default
//	server_name=NAME         the name that certificates have to be good for
//	skip_verify=true         trust anybody
type redisTLS struct {
	given                     []string // names of the options that are there
	ca, cert, key, serverName string
	skipVerify                bool
}

// cutTLS takes the options of TLS out of a URL's tail, /PATH?QUERY.
func cutTLS(tail string) (rest string, t redisTLS, err error) {
	path, query, found := strings.Cut(tail, "?")
	if !found {
		return tail, t, nil
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", t, errors.New("not a URL: its options, after the ?, are not as NAME=VALUE&NAME=VALUE (escape special characters of a value)")
	}
	skip := ""
	for name, value := range map[string]*string{
		"ca": &t.ca, "cert": &t.cert, "key": &t.key, "server_name": &t.serverName, "skip_verify": &skip,
	} {
		if !q.Has(name) {
			continue
		}
		if *value = q.Get(name); *value == "" {
			return "", t, fmt.Errorf("option %s is empty", name)
		}
		t.given = append(t.given, name)
		q.Del(name)
	}
	slices.Sort(t.given)
	if skip != "" {
		if t.skipVerify, err = strconv.ParseBool(skip); err != nil {
			return "", t, fmt.Errorf("option skip_verify: %q, want true or false", skip)
		}
	}
	if (t.cert == "") != (t.key == "") {
		return "", t, errors.New("options cert and key go together: the certificate's file and its private key's")
	}
	if len(q) == 0 {
		return path, t, nil
	}
	return path + "?" + q.Encode(), t, nil
}

// apply completes c, which is nil where the URL does not ask for TLS. how says how it
// could.
func (t redisTLS) apply(c *tls.Config, how string) error {
	if c == nil {
		if len(t.given) > 0 {
			return fmt.Errorf("option %s is for TLS, which this URL does not ask for: %s", t.given[0], how)
		}
		return nil
	}
	c.MinVersion = tls.VersionTLS12
	if t.serverName != "" {
		c.ServerName = t.serverName
	}
	c.InsecureSkipVerify = t.skipVerify
	if t.ca != "" {
		pem, err := textfile.Read(t.ca)
		if err != nil {
			return fmt.Errorf("option ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("option ca: no certificate in %s, want a file of PEM blocks CERTIFICATE", t.ca)
		}
	}
	if t.cert != "" {
		own, err := t.own()
		if err != nil {
			return fmt.Errorf("options cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return nil
}

func (t redisTLS) own() (own tls.Certificate, err error) {
	cert, err := textfile.Read(t.cert)
	if err != nil {
		return own, err
	}
	key, err := textfile.Read(t.key)
	if err != nil {
		return own, err
	}
	return tls.X509KeyPair(cert, key)
}
