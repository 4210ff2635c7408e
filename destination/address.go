package destination

import (
	"fmt"
	"net/netip"
)

// RefusedError says that the operator's rules keep Sluice from connecting to an
// address. Retrying does not help: a person has to change the address or the
// rules.
type RefusedError struct {
	Host    string // as configured; equal to Address for a literal
	Address netip.Addr
	What    string // what the address is: "a loopback address"
	Never   bool   // no setting allows it
}

func (e *RefusedError) Error() string {
	if e.Host == "" || e.Host == e.Address.String() {
		return fmt.Sprintf("%s is %s", e.Address, e.What)
	}
	return fmt.Sprintf("%s resolves to %s, %s", e.Host, e.Address, e.What)
}

// Hint says what allows the address, or that nothing does.
func (e *RefusedError) Hint() string {
	if e.Never {
		return "destinations at such addresses are never allowed"
	}
	return fmt.Sprintf("the operator can allow it with --allow-destination %s or --allow-private-destinations",
		netip.PrefixFrom(e.Address, e.Address.BitLen()))
}

// addressRange is a range of addresses with a name for it.
type addressRange struct {
	netip.Prefix
	what string
}

func ranges(list ...string) []addressRange {
	out := make([]addressRange, 0, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		out = append(out, addressRange{netip.MustParsePrefix(list[i]), list[i+1]})
	}
	return out
}

func find(list []addressRange, a netip.Addr) (string, bool) {
	for _, r := range list {
		if r.Contains(a) {
			return r.what, true
		}
	}
	return "", false
}

// ranges that no setting opens: whoever reaches them acts as this machine
// (metadata services hand out its credentials), or reaches no single receiver.
// The metadata addresses outside of link-local are those of AWS, Google,
// Scaleway, Alibaba, Oracle and Azure.
var forbidden = ranges(
	"169.254.169.254/32", "a cloud metadata address",
	"169.254.0.0/16", "a link-local address",
	"100.100.100.200/32", "a cloud metadata address",
	"192.0.0.192/32", "a cloud metadata address",
	"168.63.129.16/32", "a cloud metadata address",
	"0.0.0.0/32", "the unspecified address",
	"224.0.0.0/4", "a multicast address",
	"255.255.255.255/32", "the broadcast address",
	"::/128", "the unspecified address",
	"fe80::/10", "a link-local address",
	"ff00::/8", "a multicast address",
	"fd00:ec2::/32", "a cloud metadata address",
	"fd20:ce::254/128", "a cloud metadata address",
	"fd00:42::42/128", "a cloud metadata address",
)

// ranges that are open to those who ask for them: the special-purpose registries
// of IANA (RFC 6890 and its updates), as far as they are not forbidden.
var private = ranges(
	"127.0.0.0/8", "a loopback address",
	"10.0.0.0/8", "a private address",
	"172.16.0.0/12", "a private address",
	"192.168.0.0/16", "a private address",
	"100.64.0.0/10", "a shared (carrier-grade NAT) address",
	"0.0.0.0/8", "an address of this network",
	"192.0.0.0/24", "a special-purpose address",
	"192.0.2.0/24", "a documentation address",
	"198.51.100.0/24", "a documentation address",
	"203.0.113.0/24", "a documentation address",
	"192.88.99.0/24", "a 6to4 relay address",
	"198.18.0.0/15", "a benchmarking address",
	"240.0.0.0/4", "a reserved address",
	"::1/128", "a loopback address",
	"fc00::/7", "a private (unique local) address",
	"fec0::/10", "a private (site-local) address",
	"::/96", "an IPv4-compatible address",
	"::ffff:0:0:0/96", "an IPv4-translated address",
	"64:ff9b:1::/48", "a local NAT64 address",
	"100::/64", "a discard address",
	"2001::/23", "a special-purpose address",
	"2001:db8::/32", "a documentation address",
	"2002::/16", "a 6to4 address",
	"3fff::/20", "a documentation address",
	"5f00::/16", "a segment routing address",
)

var (
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	nat64Local    = netip.MustParsePrefix("64:ff9b:1::/48")
	v4Compatible  = netip.MustParsePrefix("::/96")
	v4Translated  = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour     = netip.MustParsePrefix("2002::/16")
	teredo        = netip.MustParsePrefix("2001::/32")
	notUsed       = netip.MustParsePrefix("0.0.0.0/8")
	embeddedBytes = [][4]int{{12, 13, 14, 15}, {6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}}
)

// embedded returns the IPv4 addresses that a gateway may take a for: a packet to
// 64:ff9b::a9fe:a9fe can end at 169.254.169.254.
func embedded(a netip.Addr) []netip.Addr {
	b := a.As16()
	at := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	switch {
	case a.Is4():
		return nil
	case nat64.Contains(a), v4Compatible.Contains(a), v4Translated.Contains(a):
		return []netip.Addr{at(12, 13, 14, 15)}
	case sixToFour.Contains(a):
		return []netip.Addr{at(2, 3, 4, 5)}
	case teredo.Contains(a):
		client := at(12, 13, 14, 15).As4()
		for i := range client {
			client[i] = ^client[i]
		}
		return []netip.Addr{at(4, 5, 6, 7), netip.AddrFrom4(client)}
	case nat64Local.Contains(a):
		// The operator chose the length of the prefix (RFC 6052, 2.2), so every
		// reading counts that is not mere padding.
		var out []netip.Addr
		for _, i := range embeddedBytes {
			if v4 := at(i[0], i[1], i[2], i[3]); !notUsed.Contains(v4) {
				out = append(out, v4)
			}
		}
		return out
	}
	return nil
}

// judge returns why a may not be dialled, nil when it may.
func (d *Dialer) judge(host string, a netip.Addr) *RefusedError {
	a = a.Unmap().WithZone("")
	inner := embedded(a)
	for _, v := range append([]netip.Addr{a}, inner...) {
		if what, ok := find(forbidden, v); ok {
			return &RefusedError{Host: host, Address: a, What: what, Never: true}
		}
	}
	if d.allowPrivate || d.allows(a) {
		return nil
	}
	if what, ok := find(private, a); ok {
		return &RefusedError{Host: host, Address: a, What: what}
	}
	for _, v := range inner {
		if what, ok := find(private, v); ok && !d.allows(v) {
			return &RefusedError{Host: host, Address: a, What: what}
		}
	}
	return nil
}

func (d *Dialer) allows(a netip.Addr) bool {
	for _, p := range d.allow {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
