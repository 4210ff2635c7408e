package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddr returns where a request comes from, for the throttle of signing in
// and for the log. That is the other end of the connection, unless it is a proxy
// that is trusted: then it is the last hop of X-Forwarded-For that no trusted
// proxy added, for what stands before it may be made up. The zero address is not
// known.
func (s *Site) clientAddr(r *http.Request) netip.Addr {
	addr := parseHop(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !s.trusts(addr) {
			break
		}
		next := parseHop(hop)
		if !next.IsValid() {
			break
		}
		addr = next
	}
	return addr
}

// parseHop reads an address with or without a port.
func parseHop(hop string) netip.Addr {
	hop = strings.TrimSpace(hop)
	if host, _, err := net.SplitHostPort(hop); err == nil {
		hop = host
	}
	addr, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func (s *Site) trusts(addr netip.Addr) bool {
	return addr.IsValid() && slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// encrypted reports whether the browser's connection is, as far as the server can
// know.
func (s *Site) encrypted(r *http.Request) bool { return r.TLS != nil || s.external.scheme == "https" }

// exposed reports whether others may read what is sent: the connection is not
// encrypted, and the browser means another machine than its own.
func (s *Site) exposed(r *http.Request) bool {
	if s.encrypted(r) {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return !strings.EqualFold(host, "localhost") && (err != nil || !addr.IsLoopback())
}

// origin returns the server's address for examples, as the browser reaches it. A
// host that could not stand in a command is left out.
func (s *Site) origin(r *http.Request) string {
	if s.external != (Origin{}) {
		return s.external.String()
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	odd := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".-:[]", c))
	}
	if host == "" || strings.ContainsFunc(host, odd) {
		host = "sluice.example.com"
	}
	return scheme + "://" + host
}
