package web

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/control"
)

// FuzzClientAddr: where a request comes from is the other end of the connection, or
// what a trusted proxy says, and never what stands before that.
func FuzzClientAddr(f *testing.F) {
	for _, seed := range [][2]string{{"10.0.0.1:99", "203.0.113.7"}, {"10.0.0.1:99", "1.2.3.4, 203.0.113.7, 10.9.9.9"}, {"[::1]:9", "for=1.2.3.4"}, {"10.0.0.1", "[2001:db8::1]:443"}, {"", ""}, {"10.0.0.1:1", "fe80::1%eth0,,"}} {
		f.Add(seed[0], seed[1])
	}
	s := &Site{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		got, end := s.clientAddr(r), parseHop(remote)
		if !s.trusts(end) && got != end {
			t.Errorf("%q with %q: got %s, want the other end", remote, forwarded, got)
		}
		if got.IsValid() && (got.Zone() != "" || got.Is4In6()) {
			t.Errorf("%q with %q: got %s", remote, forwarded, got)
		}
		more := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {"198.51.100.9," + forwarded}}}
		if again := s.clientAddr(more); got.IsValid() && !s.trusts(got) && again != got {
			t.Errorf("%q with %q: got %s, want %s whatever stands before", remote, forwarded, again, got)
		}
	})
}

// FuzzOrigin: an origin is read as it was written, without path and password.
func FuzzOrigin(f *testing.F) {
	for _, text := range []string{"https://Sluice.example.com/", "http://[::1]:8080", "https://a:443", "https://a:99999", "https://user@a", "ftp://a", "https://*", "https://a/b", "https://", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOrigin(text)
		if err != nil {
			return
		}
		if again, err := ParseOrigin(o.String()); err != nil || again != o {
			t.Errorf("%q: read again it is %q (%v), want %q", text, again, err, o)
		}
		if s := o.String(); strings.Count(s, "/") != 2 || strings.ContainsAny(s, "@ ?#") {
			t.Errorf("%q: got %q", text, s)
		}
	})
}

// FuzzEventName: an event is known by the one name that this program writes.
func FuzzEventName(f *testing.F) {
	for _, name := range []string{"audit-7", "a-b-0", "audit-07", "audit--1", "-1", "audit-18446744073709551616", "audit"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		partition, seq, ok := parseEventName(name)
		if !ok {
			return
		}
		if again, n, ok := parseEventName(eventName(&control.FoundEvent{Partition: partition, Seq: seq})); !ok || again != partition || n != seq || eventName(&control.FoundEvent{Partition: partition, Seq: seq}) != name {
			t.Errorf("%q: got %q and %d", name, partition, seq)
		}
	})
}
