package ingest

import (
	"errors"
	"net/netip"
	"strings"

	"keyturn/internal/config"
)

// errAddress hides which address it was: the log of a flood must not grow by its sources.
var errAddress = errors.New("address of the sender is not configured")

// maxForwarded bounds the entries of X-Forwarded-For that are looked at.
const maxForwarded = 16

// ip believes an address. It never stands alone.
type ip struct{ from, proxies []netip.Prefix }

func newIP(spec config.IP) (ip, error) {
	from, err := prefixes(spec.CIDRs)
	if err != nil {
		return ip{}, err
	}
	proxies, err := prefixes(spec.TrustedProxies)
	return ip{from, proxies}, err
}

func prefixes(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, errors.New("has an entry that is no network")
		}
		all = append(all, p)
	}
	return all, nil
}

func (ip) keys() int { return 0 }

// Glance does all of the work: nothing of the body is needed.
func (v ip) Glance(d Delivery) error {
	_, err := v.Verify(d)
	return err
}

// Verify takes the delivery when its sender's address is in one of the networks.
func (v ip) Verify(d Delivery) (Verified, error) {
	addr, ok := v.sender(d)
	if !ok || !contains(v.from, addr) {
		return Verified{}, errAddress
	}
	d.say(true, "address", addr.String)
	return Verified{}, nil
}

// sender is who connects, or, where that is a trusted proxy, whom it says it stands for: the last entry of
// X-Forwarded-For that is not a trusted proxy itself.
func (v ip) sender(d Delivery) (netip.Addr, bool) {
	port, err := netip.ParseAddrPort(d.Remote)
	if err != nil {
		return netip.Addr{}, false
	}
	addr := port.Addr().Unmap()
	if !contains(v.proxies, addr) {
		return addr, true
	}
	entries := strings.Split(strings.Join(d.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(entries) - 1; i >= 0 && len(entries)-i <= maxForwarded; i-- {
		addr, err = netip.ParseAddr(strings.TrimSpace(entries[i]))
		if err != nil {
			return netip.Addr{}, false
		}
		if addr = addr.Unmap(); !contains(v.proxies, addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	for _, p := range list {
		if p.Contains(addr.WithZone("")) {
			return true
		}
	}
	return false
}
