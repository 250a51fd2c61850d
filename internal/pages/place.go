package pages

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// networkBits are how many bits of an address of the sixth version name a network: whoever has one address of it has all.
const networkBits = 64

// place returns where a request comes from, for counting: an address, or a network of the sixth version. A proxy that is trusted
// says who came to it, and that may be another such proxy; anybody else may write into X-Forwarded-For what they like, so
// nothing before the first address that is no trusted proxy's is read.
func (p *Pages) place(r *http.Request) string {
	at := address(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trusts(at); i-- {
		before := address(strings.TrimSpace(hops[i]))
		if !before.IsValid() {
			break
		}
		at = before
	}
	switch {
	case !at.IsValid():
		return r.RemoteAddr
	case at.Is6():
		return netip.PrefixFrom(at, networkBits).Masked().String()
	}
	return at.String()
}

// trusts reports whether an address is that of a proxy which says the truth.
func (p *Pages) trusts(at netip.Addr) bool {
	return slices.ContainsFunc(p.opts.Proxies, func(of netip.Prefix) bool { return of.Contains(at) })
}

// address reads an address, which may have a port. It is not valid if there is none.
func address(text string) netip.Addr {
	at, err := netip.ParseAddr(text)
	if err != nil {
		with, _ := netip.ParseAddrPort(text) // not valid if it is none
		at = with.Addr()
	}
	return at.Unmap().WithZone("")
}
