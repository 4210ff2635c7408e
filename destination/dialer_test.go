package destination

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
)

func TestJudge(t *testing.T) {
	strict := NewDialer(DialerConfig{})
	private := NewDialer(DialerConfig{AllowPrivate: true})
	for what, list := range map[string][]string{
		"public": {"93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "168.63.129.17"},
		"private": {"127.0.0.1", "127.8.9.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
			"0.1.2.3", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.9", "240.0.0.1",
			"::1", "fd12::1", "fec0::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1",
			"64:ff9b:1::a00:1", "2002:a00:1::", "2002:7f00:1::", "2001:db8::1", "100::1", "2001:0:101:101::f5ff:fffe", "2002:101:101::"},
		"never": {"169.254.1.1", "169.254.169.254", "169.254.170.2", "0.0.0.0", "224.0.0.1", "239.1.2.3", "255.255.255.255",
			"100.100.100.200", "192.0.0.192", "168.63.129.16", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "fd20:ce::254",
			"::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:255.255.255.255", "::ffff:0:169.254.169.254", "::169.254.169.254",
			"64:ff9b::a9fe:a9fe", "64:ff9b::e000:1", "64:ff9b::", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::",
			"64:ff9b:1:a9:fe:a9fe::", "2002:a9fe:a9fe::1", "2002:0:0::1", "2001:0:a9fe:a9fe::", "2001::5601:5601"},
	} {
		for _, s := range list {
			a := netip.MustParseAddr(s)
			gotStrict, gotPrivate := strict.judge("h", a), private.judge("h", a)
			if got, want := gotStrict != nil, what != "public"; got != want {
				t.Errorf("%s (%s) with default rules: got refused %t, want %t", s, what, got, want)
			}
			if got, want := gotPrivate != nil, what == "never"; got != want {
				t.Errorf("%s (%s) with private allowed: got refused %t, want %t", s, what, got, want)
			}
			if gotStrict != nil && gotStrict.Never != (what == "never") {
				t.Errorf("%s: got never %t, want %t", s, gotStrict.Never, what == "never")
			}
		}
	}
}

func TestAllowedRanges(t *testing.T) {
	d := NewDialer(DialerConfig{Allow: []netip.Prefix{
		netip.MustParsePrefix("10.1.9.9/16"), netip.MustParsePrefix("::ffff:192.168.7.0/120"),
		netip.MustParsePrefix("fd12::/16"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("::1/128"),
	}})
	for s, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true, "10.2.0.1": false, "192.168.7.1": true,
		"192.168.8.1": false, "fd12::1": true, "fd13::1": false, "169.254.1.1": false, "::1": true, "127.0.0.1": false,
	} {
		if got := d.judge("", netip.MustParseAddr(s)) == nil; got != want {
			t.Errorf("%s: got allowed %t, want %t", s, got, want)
		}
	}
}

func TestRefusedErrorNamesAddressAndFlag(t *testing.T) {
	d := NewDialer(DialerConfig{Resolver: Hosts{"db.internal.test": {netip.MustParseAddr("10.0.0.5")}}})
	_, err := d.DialContext(t.Context(), "tcp", "db.internal.test:443")
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		t.Fatalf("DialContext: got %v, want a *RefusedError", err)
	}
	if got, want := refused.Error(), "db.internal.test resolves to 10.0.0.5, a private address"; got != want {
		t.Errorf("Error: got %q, want %q", got, want)
	}
	if got, want := refused.Hint(), "--allow-destination 10.0.0.5/32"; !strings.Contains(got, want) {
		t.Errorf("Hint: got %q, want it to contain %q", got, want)
	}
	if got, want := (&Dialer{}).judge("", netip.MustParseAddr("fe80::1")).Hint(), "never"; !strings.Contains(got, want) {
		t.Errorf("Hint of a link-local address: got %q, want it to contain %q", got, want)
	}
}

func TestLookup(t *testing.T) {
	addrs := func(list ...string) []netip.Addr {
		var out []netip.Addr
		for _, s := range list {
			out = append(out, netip.MustParseAddr(s))
		}
		return out
	}
	d := NewDialer(DialerConfig{Resolver: Hosts{
		"mixed.test": addrs("10.0.0.1", "1.1.1.1", "169.254.169.254"),
		"both.test":  addrs("2606:4700::1", "2606:4700::2", "2606:4700::3", "1.1.1.1"),
		"empty.test": nil,
	}})
	for host, want := range map[string][]netip.Addr{
		"mixed.test":       addrs("1.1.1.1"),
		"both.test":        addrs("2606:4700::1", "1.1.1.1", "2606:4700::2", "2606:4700::3"),
		"9.9.9.9":          addrs("9.9.9.9"),
		"::ffff:9.9.9.9":   addrs("9.9.9.9"),
		"64:ff9b::909:909": addrs("64:ff9b::909:909"),
	} {
		got, err := d.Lookup(t.Context(), host)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Lookup of %s: got %v, %v, want %v", host, got, err, want)
		}
	}
	for _, host := range []string{"empty.test", "absent.test"} {
		if _, err := d.Lookup(t.Context(), host); Classify(err).Class != Unavailable {
			t.Errorf("Lookup of %s: got %v, want unavailable", host, err)
		}
	}
}

// listen returns the port of a listener on loopback that accepts.
func listen(t *testing.T, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatalf("listen: got %v, want nil", err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestDialTriesTheNextAddress(t *testing.T) {
	port := listen(t, "127.0.0.2")
	d := NewDialer(DialerConfig{AllowPrivate: true, Timeout: time.Minute, Resolver: Hosts{
		"two.test": {netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.2")},
		"bad.test": {netip.MustParseAddr("127.0.0.3")},
	}})
	c, err := d.DialContext(t.Context(), "tcp", "two.test:"+port)
	if err != nil {
		t.Fatalf("DialContext: got %v, want nil", err)
	}
	defer c.Close()
	if got, want := c.RemoteAddr().String(), "127.0.0.2:"+port; got != want {
		t.Errorf("remote address: got %s, want %s", got, want)
	}
	if _, err := d.DialContext(t.Context(), "tcp", "bad.test:"+port); Classify(err).Class != Unavailable {
		t.Errorf("DialContext to a closed port: got %v, want unavailable", err)
	}
}

func TestDialOffersTCPOnly(t *testing.T) {
	d := NewDialer(DialerConfig{AllowPrivate: true})
	for _, network := range []string{"unix", "udp", "ip", ""} {
		if _, err := d.DialContext(t.Context(), network, "127.0.0.1:1"); err == nil {
			t.Errorf("DialContext over %q: got nil, want an error", network)
		}
	}
	if _, err := d.DialContext(t.Context(), "tcp", "no-port"); err == nil {
		t.Error("DialContext without a port: got nil, want an error")
	}
}

// turncoat answers with a public address first and a forbidden one later.
type turncoat struct{ asked int }

func (r *turncoat) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	r.asked++
	if r.asked == 1 {
		return []netip.Addr{netip.MustParseAddr("1.1.1.1")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
}

func TestNameThatChangesItsAddress(t *testing.T) {
	d := NewDialer(DialerConfig{AllowPrivate: true, Resolver: &turncoat{}})
	if err := d.CheckHost(t.Context(), "rebind.test"); err != nil {
		t.Fatalf("CheckHost: got %v, want nil", err)
	}
	_, err := d.DialContext(t.Context(), "tcp", "rebind.test:80")
	if _, ok := errors.AsType[*RefusedError](err); !ok {
		t.Errorf("DialContext: got %v, want a *RefusedError", err)
	}
}

func TestSocketIsJudgedAgain(t *testing.T) {
	d := NewDialer(DialerConfig{})
	_, err := d.dial(t.Context(), "tcp", "127.0.0.1:9", time.Second) // past Lookup
	if got := Classify(err); got == nil || got.Class != Misconfigured {
		t.Errorf("dial: got %v, want misconfigured", got)
	}
}

func TestCheckHost(t *testing.T) {
	d := NewDialer(DialerConfig{Resolver: Hosts{}})
	e, ok := d.CheckHost(t.Context(), "127.0.0.1").(*sluice.Error)
	if !ok || e.Code != sluice.Invalid || !strings.Contains(e.Hint, "--allow-private-destinations") {
		t.Errorf("CheckHost of loopback: got %+v, want invalid with a hint", e)
	}
	for _, host := range []string{"2130706433", "0x7f000001", "127.1", "127.0.0.1.", "017700000001", "a.0x1", "99999999999999999999"} {
		e, ok := d.CheckHost(t.Context(), host).(*sluice.Error)
		if !ok || e.Code != sluice.Invalid {
			t.Errorf("CheckHost of %s: got %v, want invalid", host, e)
		}
	}
	if err := d.CheckHost(t.Context(), "later.test"); err == nil {
		t.Error("CheckHost of an unknown name: got nil, want the error of the lookup")
	}
}
