//go:build torture

package splunk

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// TestOpenTelemetryCollector delivers to the receiver of an OpenTelemetry
// Collector, built from its modules, over TLS.
func TestOpenTelemetryCollector(t *testing.T) {
	binary := buildOtel(t)
	for _, c := range []struct {
		mode Ack
		ack  bool
		ok   bool
	}{
		{AckAuto, false, true}, {AckAuto, true, true}, {AckRequire, true, true}, {AckOff, true, true}, {AckRequire, false, false},
	} {
		t.Run(fmt.Sprintf("%s, acknowledgement %t", c.mode, c.ack), func(t *testing.T) {
			o := startOtel(t, binary, c.ack)
			k := o.open(t, map[string]any{"indexer_ack": c.mode, "index": "audit", "sourcetype": "_json"})
			_, all := run(t, k, c.ok)
			t.Log(all)
			if !c.ok {
				wantFailure(t, "Send", k.Send(t.Context(), destinationtest.Batch(2)), destination.Misconfigured, "enable it for the token")
				return
			}
			check := o.lines(t, 1) // the index is set, so that the check wrote an event
			if !strings.Contains(check[0], destination.CheckType) {
				t.Errorf("first event: got %s, want the one of the check", check[0])
			}
			b := destinationtest.Batch(1000)
			wantFailure(t, "Send", k.Send(t.Context(), b), 0, "")
			o.want(t, b.Events)
		})
	}
}

// TestOpenTelemetryCollectorRefuses has an event that the receiver refuses: it
// stores nothing of such a request, so that nothing of it may count as delivered.
func TestOpenTelemetryCollectorRefuses(t *testing.T) {
	binary := buildOtel(t)
	o := startOtel(t, binary, false)
	k := o.open(t, map[string]any{})
	b := destinationtest.Batch(9)
	// Neither happens to stored events; each has the receiver refuse at number 4.
	for _, payload := range []string{`""`, `{},"fields":{"nested":{"a":1}}`} {
		b.Events[4].Payload = []byte(payload)
		res := k.Send(t.Context(), b)
		wantFailure(t, payload, res, destination.RejectedBatch, "code 1")
		if slices.Contains(res.Events, destination.Delivered) {
			t.Errorf("%s: got outcomes %v, want none delivered", payload, res.Events)
		}
		wantFailure(t, "alone", k.Send(t.Context(), &destination.Batch{Partition: "audit", Events: b.Events[4:5]}), destination.RejectedBatch, "code 1")
	}
	good := append(slices.Clone(b.Events[:4]), b.Events[5:]...)
	wantFailure(t, "without it", k.Send(t.Context(), &destination.Batch{Partition: "audit", Events: good}), 0, "")
	o.want(t, good)
}

func buildOtel(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "otelhec")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "../../testservers/otelhec"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build testservers/otelhec, which needs the Go module proxy: %v\n%s", err, out)
	}
	return binary
}

// otel is a running receiver.
type otel struct {
	port string
	out  chan string // lines of its output, closed when it has ended
}

// startOtel runs the receiver until the test ends, with a certificate that nobody
// trusts.
func startOtel(t *testing.T, binary string, ack bool) *otel {
	t.Helper()
	cert, key := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // the receiver takes the port; it cannot say which one it got
	cmd := exec.Command(binary, "-listen", address, "-cert", cert, "-key", key, fmt.Sprintf("-ack=%t", ack))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start otelhec: got %v, want nil", err)
	}
	o := &otel{out: make(chan string, 4096)} // more than any test has it print
	_, o.port, _ = net.SplitHostPort(address)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(o.out)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			o.out <- lines.Text()
		}
	})
	t.Cleanup(func() {
		stdin.Close()
		reading.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("otelhec: got %v, want it to end by itself", err)
		}
	})
	if got := o.lines(t, 1); got[0] != "ready" {
		t.Fatalf("otelhec: got %q, want it ready", got)
	}
	return o
}

func (o *otel) open(t *testing.T, fields map[string]any) *Collector {
	t.Helper()
	fields["ssl_verify"] = false
	k := openAt(t, "https://127.0.0.1:"+o.port, fixedEnv(), fields)
	k.pace = usualPace()
	t.Cleanup(func() { k.Close() })
	return k
}

// lines returns the next n lines of the receiver's output.
func (o *otel) lines(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for len(out) < n {
		line, ok := <-o.out
		if !ok {
			t.Fatalf("otelhec: got %d lines before it ended, want %d", len(out), n)
		}
		out = append(out, line)
	}
	return out
}

// want checks that the receiver has got the events, in order and with their times.
func (o *otel) want(t *testing.T, events []destination.Event) {
	t.Helper()
	for i, line := range o.lines(t, len(events)) {
		var r struct {
			Time  int64
			Event json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %d: got %q, want JSON", i, line)
		}
		var got, want any
		_ = json.Unmarshal(r.Event, &got)
		_ = json.Unmarshal(events[i].Payload, &want)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("event %d: got %v, want %v", i, got, want)
		}
		// The receiver reads numbers by way of floating point.
		if off := time.Duration(r.Time - events[i].Time.UnixNano()).Abs(); off > time.Microsecond {
			t.Errorf("time of event %d: got %v off, want at most a microsecond", i, off)
		}
	}
}

// certificate writes a certificate of its own for loopback and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "otelhec"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
