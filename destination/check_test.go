package destination_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
)

func TestProbeStages(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	many := make([]netip.Addr, 500)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)})
	}
	d := destination.NewDialer(destination.DialerConfig{AllowPrivate: true, Resolver: destination.Hosts{
		"one.test": {netip.MustParseAddr("127.0.0.1")}, "many.test": many,
	}})
	for _, c := range []struct {
		name  string
		probe destination.Probe
		ok    bool
		want  string
	}{
		{"without TLS", destination.Probe{Dialer: d, Host: "one.test", Port: port}, true, "resolve: one.test is at 127.0.0.1\nconnect: connected to 127.0.0.1:" + port + "\n"},
		{"an address", destination.Probe{Dialer: d, Host: "127.0.0.1", Port: port}, true, "resolve: 127.0.0.1 is an address: there is nothing to look up\nconnect: connected to 127.0.0.1:" + port + "\n"},
		{"unknown", destination.Probe{Dialer: d, Host: "none.test", Port: port}, false, "resolve: the host name none.test is not known: check the name, or wait for its DNS entry\n"},
	} {
		var said strings.Builder
		ok := destination.RunSteps(t.Context(), func(s destination.Stage) { fmt.Fprintf(&said, "%s: %s\n", s.Name, s.Message) }, c.probe.Steps()...)
		if ok != c.ok || said.String() != c.want {
			t.Errorf("%s: got %t and\n%swant %t and\n%s", c.name, ok, said.String(), c.ok, c.want)
		}
		c.probe.Close()
		c.probe.Close()
	}
	p := destination.Probe{Dialer: d, Host: "many.test", Port: port}
	if message, err := p.Resolve(t.Context()); err != nil || !strings.HasSuffix(message, ", 492 more") || len(message) > 200 {
		t.Errorf("many addresses: got %q, %v, want eight of them and how many there are more", message, err)
	}
}

func TestRunStepsStops(t *testing.T) {
	step := func(name string, err *destination.Error) destination.Step {
		return destination.Step{Name: name, Run: func(context.Context) (string, *destination.Error) { return "well", err }}
	}
	var said []string
	ok := destination.RunSteps(t.Context(), func(s destination.Stage) { said = append(said, fmt.Sprint(s.Name, s.OK, s.Message)) },
		step("a", nil), step("b", &destination.Error{Message: "broken"}), step("c", nil))
	if got, want := fmt.Sprint(said), "[atruewell bfalsebroken]"; ok || got != want {
		t.Errorf("RunSteps: got %t, %s, want false, %s", ok, got, want)
	}
}

func TestStagesThatHangSayWhatToDo(t *testing.T) {
	expired, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for _, c := range []struct {
		step destination.Step
		err  error
		want string
	}{
		{destination.Step{Name: "resolve"}, &net.DNSError{Name: "x.test", IsTimeout: true}, "the host name x.test could not be looked up just now; the name servers"},
		{destination.Step{Name: "connect"}, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, "no connection in time: a firewall may drop it, or the host is down; check the address and the port"},
		{destination.Step{Name: "tls"}, expired.Err(), "no answer in time; the port takes connections, but nobody begins TLS"},
		{destination.Step{Name: "authenticate"}, expired.Err(), "no answer in time; the connection stands"},
		{destination.Step{Name: "accept"}, expired.Err(), "no answer in time; the credentials were accepted"},
		{destination.Step{Name: "accept", Hang: "look at the pump"}, expired.Err(), "no answer in time; look at the pump"},
		{destination.Step{Name: "another"}, expired.Err(), "no answer in time"},
		{destination.Step{Name: "connect"}, syscall.ECONNREFUSED, "the connection was refused: nothing listens at this address and port"},
	} {
		var said string
		c.step.Run = func(context.Context) (string, *destination.Error) { return "", destination.Classify(c.err) }
		destination.RunSteps(t.Context(), func(s destination.Stage) { said = s.Message }, c.step)
		if !strings.HasPrefix(said, c.want) || !strings.Contains(c.want, ";") && said != c.want {
			t.Errorf("%s that fails with %v: got %q, want %q", c.step.Name, c.err, said, c.want)
		}
	}
}

func TestMarkedEvents(t *testing.T) {
	now := time.Date(2026, 3, 1, 11, 0, 0, 0, time.FixedZone("", 3600))
	e, other := destination.MarkedEvent(now, "acme", "this place"), destination.MarkedEvent(now, "", "this place")
	if string(e.ID) == string(other.ID) || e.Hash == other.Hash {
		t.Errorf("ids: got %s twice, want each its own", e.ID)
	}
	var p map[string]string
	if err := json.Unmarshal(e.Payload, &p); err != nil || p["id"] != string(e.ID) || p["event_type"] != destination.CheckType ||
		p["created_at"] != "2026-03-01T10:00:00Z" || p["entity_path"] != "acme" || !strings.Contains(p["message"], "this place") {
		t.Errorf("payload: got %s, %v, want a marked event", e.Payload, err)
	}
	if strings.Contains(string(other.Payload), "entity_path") {
		t.Errorf("payload of the instance: got %s, want no entity_path", other.Payload)
	}
}
