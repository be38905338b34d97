package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// blocked are the networks that no delivery goes to unless they are allowed. Of IPv6 only 2000::/3 is in public use, so
// everything else is blocked too: loopback, link-local, unique local, multicast, and the networks that carry an IPv4
// address inside (IPv4-compatible, NAT64) and would lead around the list above.
var blocked = prefixes(
	"0.0.0.0/8",       // this host
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier NAT, and metadata services of some clouds
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, metadata services of most clouds
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"2001::/23",       // protocol assignments, Teredo among them
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"3fff::/20",       // documentation
)

var public6 = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(all))
	for i, text := range all {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// The shortest prefixes that may be allowed. No private network is larger.
const (
	shortest4 = 8
	shortest6 = 7 // fc00::/7, all unique local addresses
)

// ParseAllow reads networks that deliveries may go to although they are private: CIDR prefixes or single addresses.
func ParseAllow(all ...string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range all {
		p, err := netip.ParsePrefix(text)
		if addr, single := netip.ParseAddr(text); single == nil && addr.Zone() == "" {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no network, want a CIDR as 10.1.0.0/16, or an address", text)
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return nil, fmt.Errorf("%q: write IPv4 networks as 10.1.0.0/16", text)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Addr().Is4() && p.Bits() < shortest4 || p.Addr().Is6() && p.Bits() < shortest6 {
			return nil, fmt.Errorf("%q is too large a network, want /%d or longer for IPv4 and /%d for IPv6", text, shortest4, shortest6)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// guard decides which addresses deliveries may go to.
type guard struct{ allow []netip.Prefix }

// BlockedError says that a delivery may not go to an address.
type BlockedError struct {
	Addr  netip.Addr
	Plain bool // it was for http: that goes to allowed networks only
}

func (e *BlockedError) Error() string {
	if e.Plain {
		return fmt.Sprintf("http goes to addresses of --webhook-allow only, and %v is none: use https", e.Addr)
	}
	return fmt.Sprintf("%v is not a public address: the operator can allow its network with --webhook-allow", e.Addr)
}

// check returns a *BlockedError for an address that deliveries may not go to.
func (g *guard) check(addr netip.Addr, plain bool) error {
	addr = addr.Unmap()
	if addr.Zone() == "" && within(g.allow, addr) {
		return nil
	}
	if plain || addr.Zone() != "" || within(blocked, addr) || addr.Is6() && !public6.Contains(addr) {
		return &BlockedError{Addr: addr, Plain: plain}
	}
	return nil
}

func within(list []netip.Prefix, addr netip.Addr) bool {
	for _, p := range list {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// checkHost checks the host of a URL as far as it goes without DNS: an address, or a name that is this machine's by
// definition. Other names are checked when they are connected to, each time.
func (g *guard) checkHost(host string, plain bool) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.check(addr, plain)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		if g.check(netip.AddrFrom4([4]byte{127, 0, 0, 1}), plain) != nil && g.check(netip.IPv6Loopback(), plain) != nil {
			return errors.New(name + " is this machine: the operator can allow it with --webhook-allow 127.0.0.1")
		}
		return nil
	}
	if plain && len(g.allow) == 0 {
		return errors.New("http goes to addresses of --webhook-allow only, and there are none: use https")
	}
	return nil
}
