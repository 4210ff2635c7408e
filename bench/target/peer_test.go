package target

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/bench/sink"
)

// program returns the peer's program when it is there without building: the tests
// of every day do not wait for a Collector. SLUICE_OTELCOL may name one.
func program(t *testing.T, name string) string {
	t.Helper()
	if name == Collector {
		if path := os.Getenv("SLUICE_OTELCOL"); path != "" {
			return path
		}
		t.Skip("SLUICE_OTELCOL names no Collector; go build it in testservers/otelcol")
	}
	path, err := FindPeer(t.Context(), name, t.TempDir())
	if err != nil {
		t.Skip(err)
	}
	return path
}

// TestPeersDeliver sends events through each peer that is there, kills it while its
// destination is away, and starts it again.
func TestPeersDeliver(t *testing.T) {
	for name := range peers() {
		t.Run(name, func(t *testing.T) {
			binary := program(t, name)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var s sink.Sink
			go func() { _ = s.Serve(t.Context(), ln) }()
			var log bytes.Buffer
			p, err := StartPeer(t.Context(), name, Config{Binary: binary, Dir: filepath.Join(t.TempDir(), "data"), Log: &log},
				[]Destination{{URL: "http://" + ln.Addr().String() + "/a"}, {URL: "http://" + ln.Addr().String() + "/b"}})
			if err != nil {
				t.Fatalf("start: %v\n%s", err, log.String())
			}
			defer func() { _ = p.Process().Kill() }()
			path, lines := p.Way()
			got, err := load.Run(t.Context(), load.Config{Address: p.Address(), Path: path, Lines: lines,
				Flow: load.Flow{Connections: 4, PerRequest: 100}, Duration: time.Minute, Events: 2000, Corpus: corpus.Spec{Kind: corpus.Plain}})
			if err != nil || got.Errors+got.Refused != 0 || got.Acked < 2000 {
				t.Fatalf("load: got %+v, %v, want all accepted", got, err)
			}
			for _, at := range []string{"/a", "/b"} {
				await(t, func() bool { return s.Stats(got.Next).Paths[at].Unique == got.Next })
			}
			if err := p.Process().Kill(); err != nil {
				t.Fatal(err)
			}
			if err := p.Restart(t.Context()); err != nil {
				t.Errorf("start again: %v\n%s", err, log.String())
			}
		})
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	err := server.Await(t.Context(), server.Patience, "all events", func(context.Context) error {
		if !done() {
			return errors.New("some are missing")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPeersThatAreNotThere(t *testing.T) {
	t.Setenv("PATH", "")
	for _, name := range []string{Collector, SyslogNG, "vector"} {
		if _, err := FindPeer(t.Context(), name, t.TempDir()); err == nil {
			t.Errorf("%s: got no error without programs", name)
		}
	}
	if _, err := StartPeer(t.Context(), "vector", Config{}, nil); err == nil {
		t.Error("a peer that is not known: got no error")
	}
}

func TestConfigurationsNameEachDestination(t *testing.T) {
	for name, p := range peers() {
		text := p.configure("127.0.0.1:514", "/data", []Destination{{URL: "http://h/a"}, {URL: "http://h/b"}})
		for _, want := range []string{"http://h/a", "http://h/b", "514", "/data"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: got\n%s\nwant %q in it", name, text, want)
			}
		}
	}
}
