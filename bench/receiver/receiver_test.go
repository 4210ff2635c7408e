package receiver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/sink"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/eventhubs"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
	"github.com/sluicelog/sluice/destination/s3"
	"github.com/sluicelog/sluice/destination/s3/s3test"
	"github.com/sluicelog/sluice/destination/splunk"
)

// start runs a receiver and returns where it tells its counts and where to deliver
// to.
func start(t *testing.T, name string) (counts, address string) {
	t.Helper()
	in, out := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	dir := filepath.Join(t.TempDir(), "received")
	go func() {
		err := Run(ctx, name, dir, out)
		out.CloseWithError(fmt.Errorf("%s has ended: %w", name, err))
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(in)
	for _, line := range []*string{&counts, &address} {
		text, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		*line = text[:len(text)-1]
	}
	return counts, address
}

func stats(t *testing.T, counts string, upto int) sink.Stats {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://%s/stats?upto=%d", counts, upto))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s sink.Stats
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// batch returns the events with the given numbers.
func batch(t *testing.T, numbers ...uint64) *destination.Batch {
	t.Helper()
	c, err := corpus.New(corpus.Spec{Kind: corpus.Plain})
	if err != nil {
		t.Fatal(err)
	}
	b, g := &destination.Batch{Stream: 1, Partition: "audit"}, c.Generator(1)
	now := time.Now()
	for i, n := range numbers {
		payload := bytes.TrimSpace(g.Append(nil, n, now.UnixNano()))
		b.Events = append(b.Events, destination.Event{Seq: uint64(i + 1), ID: payload[7:43], Type: "any", Namespace: "org-0000",
			Time: now, Accepted: now, Payload: payload})
	}
	return b
}

func open(t *testing.T, kind destination.Kind, config map[string]any, secrets destination.Secrets) destination.Destination {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = kind.Check(raw, secrets, destination.Rules{AllowInsecure: true, Administrator: true})
	if err != nil {
		t.Fatal(err)
	}
	env := destination.Env{Now: time.Now, Dialer: destination.NewDialer(destination.DialerConfig{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})}
	dst, err := kind.Open(raw, secrets, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dst.Close(); err != nil {
			t.Error(err)
		}
	})
	return dst
}

// wantCounts sends events 0, 1 and 3 and one of them twice. The broker cannot tell
// which.
func wantCounts(t *testing.T, dst destination.Destination, counts, path string, which bool) {
	t.Helper()
	stats(t, counts, 0)
	for _, b := range []*destination.Batch{batch(t, 0, 1, 3), batch(t, 1)} {
		if res := dst.Send(t.Context(), b); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	got := stats(t, counts, 5).Paths[path]
	unique, missing := uint64(3), uint64(2)
	if !which {
		unique, missing = 4, 1
	}
	if got.Events != 4 || got.Unique != unique || got.Duplicates != 4-unique || got.Missing != missing || got.LastNew == 0 {
		t.Errorf("stats: got %+v, want 4 events, %d unique, %d missing", got, unique, missing)
	}
}

func TestCollectorCounts(t *testing.T) {
	counts, address := start(t, Collector)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	dst := open(t, splunk.New(), map[string]any{"domain": host, "port": number, "ssl_verify": false}, destination.Secrets{"token": "0123456789"})
	wantCounts(t, dst, counts, CollectorPath, true)
}

func TestGoogleCounts(t *testing.T) {
	counts, address := start(t, Google)
	account, err := cloudloggingtest.NewAccount("bench-project")
	if err != nil {
		t.Fatal(err)
	}
	dst := open(t, cloudlogging.Kind{}, map[string]any{"project_id": account.Project, "client_email": account.Email,
		"endpoint": "http://" + address, "token_url": "http://" + address + TokenPath}, destination.Secrets{"private_key": account.PEM()})
	wantCounts(t, dst, counts, GooglePath, true)
}

func TestHubCounts(t *testing.T) {
	counts, address := start(t, Hub)
	dst := open(t, eventhubs.Kind{}, map[string]any{"name": HubName}, destination.Secrets{"connection_string": "Endpoint=sb://" + address +
		";SharedAccessKeyName=" + eventhubstest.KeyName + ";SharedAccessKey=" + eventhubstest.Key + ";UseDevelopmentEmulator=true"})
	wantCounts(t, dst, counts, HubPath, false)
}

func TestBucketCounts(t *testing.T) {
	counts, address := start(t, Bucket)
	dst := open(t, s3.Kind{}, map[string]any{"bucket": BucketName, "region": s3test.Region, "endpoint": "http://" + address,
		"access_key_id": AccessKeyID}, destination.Secrets{"secret_access_key": SecretAccessKey})
	wantCounts(t, dst, counts, BucketPath, true)
}

func TestUnknownReceiver(t *testing.T) {
	if err := Run(t.Context(), "vector", t.TempDir(), io.Discard); err == nil {
		t.Error("run: got nil, want an error")
	}
}
