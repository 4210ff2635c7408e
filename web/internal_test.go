package web

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestLocalTarget(t *testing.T) {
	for _, text := range []string{"/-/", "/-/account/tokens", "/-/account/tokens/", "/-/acme/audit_log?q=action%3Arepo+actor%3Amona&page=2", "/-/acme%2Fplatform/x", "/-/x?next=//evil.example"} {
		if got := localTarget(text); got != text {
			t.Errorf("%q: got %q, want it as it is", text, got)
		}
	}
	for _, text := range []string{
		"", "/", "/-", "//evil.example", "//evil.example/-/", "///evil.example/-/", "/\\evil.example", "\\\\evil.example/-/", "/-/\\evil.example", "/-/..//evil.example",
		"/-/../..//evil.example", "/-/%2e%2e//evil.example", "/-/%2e%2e/%2fevil.example", "/-/.%2e/x", "/-//evil.example", "/-/%2fevil.example", "/-/%5cevil.example", "/-/a/./b",
		"https://evil.example/-/", "HTTPS://evil.example", "https:/-/", "https:evil.example", "javascript:alert(1)", "javascript:/-/alert(1)", "data:text/html,x", " /-/", "/-/ x", "\t/-/",
		"/-/\tx", "/-/\r\nSet-Cookie: a=b", "/-/%0d%0aSet-Cookie:a", "/-/\x00", "/-/%zz", "/-/x@evil.example:80/\x7f", "-/", "evil.example/-/", "@evil.example/-/", "/-evil.example", "/api/v1/me",
		"/-/sign_in", "/-/sign_in?next=/-/", "/-/sign_out", "/-/first_user", "/-/assets/x/app.css", "/-/" + strings.Repeat("x", maxTarget), "/-/ü",
	} {
		if got := localTarget(text); got != home {
			t.Errorf("%q: got %q, want the first page", text, got)
		}
	}
	if got := localTarget("/-/account/tokens#made-token"); got != "/-/account/tokens" {
		t.Errorf("got %q, want it without the fragment", got)
	}
}

// FuzzLocalTarget holds that whatever comes, the target is a page of ours, and a
// fixed point.
func FuzzLocalTarget(f *testing.F) {
	f.Add("/-/x?y#z")
	f.Add("/-/%2e%2e/%2f\\")
	f.Fuzz(func(t *testing.T, text string) {
		got := localTarget(text)
		if !strings.HasPrefix(got, home) || strings.Contains(got[1:], "//") && !strings.Contains(got, "?") || strings.ContainsAny(got, "\\\r\n\t ") || localTarget(got) != got {
			t.Errorf("%q: got %q", text, got)
		}
	})
}

func TestClientAddr(t *testing.T) {
	s := &Site{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}}
	for _, c := range []struct {
		remote string
		hops   []string
		want   string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"[2001:db8::1]:5", nil, "2001:db8::1"},
		{"[fe80::1%eth0]:5", nil, "fe80::1"},
		{"[::ffff:192.0.2.1]:5", nil, "192.0.2.1"},
		{"@", nil, "invalid IP"},
		{"192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1"},
		{"10.1.1.1:5", nil, "10.1.1.1"},
		{"10.1.1.1:5", []string{""}, "10.1.1.1"},
		{"10.1.1.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"203.0.113.1, 198.51.100.1"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"203.0.113.1", "198.51.100.1"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"10.3.3.3,10.2.2.2"}, "10.3.3.3"},
		{"10.1.1.1:5", []string{"198.51.100.1, made up"}, "10.1.1.1"},
		{"10.1.1.1:5", []string{"198.51.100.1, made up, 10.2.2.2"}, "10.2.2.2"},
		{"10.1.1.1:5", []string{"198.51.100.1:443"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{"10.1.1.1:5", []string{"2001:db8::7"}, "2001:db8::7"},
		{"[2001:db8:1::2]:5", []string{"2001:db8::7"}, "2001:db8::7"},
		{"[::ffff:10.1.1.1]:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/-/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.remote, c.hops
		if got := s.clientAddr(r).String(); got != c.want {
			t.Errorf("%s for %q: got %s, want %s", c.remote, c.hops, got, c.want)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://sluice.example.com": "https://sluice.example.com", "https://Sluice.Example.com/": "https://sluice.example.com", "http://10.0.0.1:8080": "http://10.0.0.1:8080",
		"https://[2001:db8::1]:8443": "https://[2001:db8::1]:8443", "https://sluice.example.com:443": "https://sluice.example.com", "http://sluice:80": "http://sluice", "http://sluice:443": "http://sluice:443",
	} {
		if got, err := ParseOrigin(text); err != nil || got.String() != want {
			t.Errorf("%q: got %q with error %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "sluice.example.com", "//sluice.example.com", "ftp://sluice.example.com", "https://", "https://user@sluice.example.com", "https://sluice.example.com/path", "https://sluice.example.com?x",
		"https://sluice.example.com/?x=y", "https://sluice.example.com#x", "https://sluice.example.com:port", "https://sluice.example.com:99999", "https://*.example.com", "https://:443"} {
		if got, err := ParseOrigin(text); err == nil || got != (Origin{}) {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

func TestOnceIsBounded(t *testing.T) {
	o := newOnce()
	for i := range maxOnce + 10 {
		if !o.first("u1", fmt.Sprint(i)) {
			t.Fatalf("form %d: got that it was sent before", i)
		}
	}
	if len(o.sent) != maxOnce || len(o.order) != maxOnce {
		t.Errorf("got %d and %d numbers, want %d", len(o.sent), len(o.order), maxOnce)
	}
	last := fmt.Sprint(maxOnce + 9)
	if o.first("u1", last) || !o.first("u2", last) || !o.first("u1", "") || !o.first("u1", "") {
		t.Error("want one time for each user and number, and every time without a number")
	}
	o.forget("u1", last)
	if !o.first("u1", last) {
		t.Error("a form that was not done cannot be sent again")
	}
}

// Every template is executed by a test; this one holds that none is left over.
func TestEveryPageIsThere(t *testing.T) {
	p := readPages(readAssets())
	names := []string{
		"confirm", "error", "first_user", "home", "members", "password", "producers", "revoke", "sign_in", "tokens", "user", "users",
		"log", "log_event",
		"system", "history", "quarantine", "replay",
		"streams", "stream_new", "stream_pause", "stream_delete",
	}
	for _, name := range names {
		page := p.byName[name]
		if page == nil {
			t.Errorf("there is no template %s", name)
			continue
		}
		page() // panics unless it can be parsed
	}
	if len(p.byName) != len(names) {
		t.Errorf("got %d templates, want %d: add the new one here, and a test that shows it", len(p.byName), len(names))
	}
}
