// Package loopback knows the names that always mean this machine.
package loopback

import (
	"net"
	"net/url"
	"strings"
)

// Name reports whether a Host header is such a name. A server that is open to its own machine alone answers to no other:
// the page of any site that is open in a browser there can reach it, and point the site's name to 127.0.0.1 (DNS
// rebinding). Such a request has the site's name as its host.
func Name(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
