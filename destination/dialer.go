package destination

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sluicelog/sluice"
)

// DialTimeout is how long one address may take to accept a connection when
// [DialerConfig] does not say.
const DialTimeout = 5 * time.Second

// A dial as a whole, the lookup of the name included, ends after as long as
// dialWhole addresses may take: net/http does not end it with the request that
// began it, and who owns a name decides how many addresses it has.
const dialWhole = 6

// leastShare divides the time that one address may take: what is left of it for each
// of many addresses, so that as many as can be are tried.
const leastShare = 3

// Resolver turns host names into addresses. [net.Resolver] is one, [Hosts] is
// another.
type Resolver interface {
	// LookupNetIP returns the addresses of host, in the order in which they are
	// to be tried. The network is "ip". A host without addresses is a
	// *net.DNSError.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Hosts is a Resolver that knows the names in the map and no others.
type Hosts map[string][]netip.Addr

// LookupNetIP returns the addresses in the map.
func (h Hosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if list, ok := h[host]; ok {
		return slices.Clone(list), nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// DialerConfig holds the operator's rules for addresses.
type DialerConfig struct {
	// AllowPrivate opens loopback, private and other special-purpose ranges.
	// Link-local, metadata, unspecified, multicast and broadcast addresses stay
	// refused.
	AllowPrivate bool
	// Allow opens single ranges of those that AllowPrivate opens together.
	Allow []netip.Prefix
	// Resolver looks up names; nil means the system's.
	Resolver Resolver
	// Timeout bounds the attempt at one address; 0 means [DialTimeout].
	Timeout time.Duration
}

// Dialer opens the sockets of every destination and refuses addresses that the
// operator did not allow. It judges what a name resolves to, at every dial, so a
// name that changes its address later gains nothing. It may be used by several
// goroutines at once. The zero Dialer allows public addresses only.
type Dialer struct {
	allowPrivate bool
	allow        []netip.Prefix
	resolver     Resolver
	timeout      time.Duration

	mu     sync.Mutex
	shared map[bool]*sharedTransport // see SharedTransport
}

// NewDialer returns a dialer that follows the rules.
func NewDialer(c DialerConfig) *Dialer {
	d := &Dialer{allowPrivate: c.AllowPrivate, resolver: c.Resolver, timeout: c.Timeout}
	for _, p := range c.Allow {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		d.allow = append(d.allow, p.Masked())
	}
	return d
}

// Lookup returns the addresses of host, a name or a literal, that may be
// dialled, in the order in which DialContext tries them. When the rules refuse
// all of them the error is a *[RefusedError], when there is none a
// *[net.DNSError].
func (d *Dialer) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	all, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var refused *RefusedError
	allowed := make([]netip.Addr, 0, len(all))
	for _, a := range all {
		if r := d.judge(host, a); r != nil {
			if refused == nil {
				refused = r
			}
			continue
		}
		allowed = append(allowed, a.Unmap())
	}
	switch {
	case len(allowed) > 0:
		return alternate(allowed), nil
	case refused != nil:
		return nil, refused
	}
	return nil, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
}

func (d *Dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if d.resolver == nil {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	return d.resolver.LookupNetIP(ctx, "ip", host)
}

// alternate puts the families in turns, the first one first, so that a network
// without IPv6 costs one attempt and not as many as there are addresses.
func alternate(list []netip.Addr) []netip.Addr {
	var first, second []netip.Addr
	for _, a := range list {
		if a.Is4() == list[0].Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	out := make([]netip.Addr, 0, len(list))
	for i := range list {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

// DialContext connects to address ("host:port") over "tcp", "tcp4" or "tcp6",
// trying the allowed addresses of the host one after another. It returns the
// error of the first attempt when none succeeds, and a *[RefusedError] when the
// rules leave no address to try. The lookup and all attempts together end within six
// times what one address may take; many addresses share that time.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, fmt.Errorf("dial destination: network %q is not offered", network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial destination: %w", err)
	}
	one := cmp.Or(d.timeout, DialTimeout)
	ctx, cancel := context.WithTimeout(ctx, dialWhole*one)
	defer cancel()
	whole, _ := ctx.Deadline()
	addrs, err := d.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var first error
	for i, a := range addrs {
		share := max(one/leastShare, time.Until(whole)/time.Duration(len(addrs)-i))
		conn, err := d.dial(ctx, network, net.JoinHostPort(a.String(), port), min(one, share))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func (d *Dialer) dial(ctx context.Context, network, address string, timeout time.Duration) (net.Conn, error) {
	nd := net.Dialer{Timeout: timeout, Control: d.control}
	c, err := nd.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		return newConn(tcp), nil
	}
	return c, nil
}

// control judges the address that the socket is about to connect to: the last
// word, whatever happened before.
func (d *Dialer) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address to dial: %w", err)
	}
	if refused := d.judge("", ap.Addr()); refused != nil {
		return refused
	}
	return nil
}

// endsInNumber reports whether a host is one that resolvers may take for an IPv4
// address in a form that few people read, 2130706433 or 0x7f.1: no name of the DNS
// ends so (WHATWG URL, "ends in a number checker").
func endsInNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if digits := strings.Trim(last, "0123456789"); last != "" && digits == "" {
		return true
	}
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil
}

// CheckHost reports whether a destination at host may be saved: nil, a
// *[sluice.Error] with code Invalid when the rules refuse it, or the error of
// the lookup, which a caller may let pass because names can be set up later.
func (d *Dialer) CheckHost(ctx context.Context, host string) error {
	if endsInNumber(host) {
		return sluice.Errorf(sluice.Invalid, "the host ends in a number and is no IP address").
			WithHint("write an IPv4 address as four numbers of 0 to 255, without zeros in front")
	}
	_, err := d.Lookup(ctx, host)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return sluice.Errorf(sluice.Invalid, "%v", refused).WithHint("%s", refused.Hint())
	}
	return err
}
