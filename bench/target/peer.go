package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicelog/sluice/bench/process"
)

// Peers that the benchmark knows.
const (
	Collector = "otelcol"
	SyslogNG  = "syslog-ng"
)

// peer is how to run a program that others made.
type peer struct {
	// find returns the program; dir is for one that has to be built. The error says
	// what to do about a program that is not there.
	find func(ctx context.Context, dir string) (string, error)
	// configure returns the text of its configuration.
	configure func(address, dir string, destinations []Destination) string
	args      func(config, dir string) []string
	// path is where producers post to; "" means that they write lines over TCP.
	path string
}

func peers() map[string]peer {
	return map[string]peer{Collector: collector(), SyslogNG: syslogNG()}
}

// FindPeer returns the program of a peer, which may be built into dir for it, or
// says why there is none.
func FindPeer(ctx context.Context, name, dir string) (string, error) {
	p, ok := peers()[name]
	if !ok {
		return "", fmt.Errorf("no peer is called %q", name)
	}
	return p.find(ctx, dir)
}

// A Peer is a started program that others made, with its durable queue on.
type Peer struct {
	kind    peer
	config  Config
	address string
	process *process.Process
}

var _ Server = (*Peer)(nil)

func (p *Peer) Address() string           { return p.address }
func (p *Peer) Token() string             { return "any" }
func (p *Peer) Process() *process.Process { return p.process }

// Way returns the path to post to, or that plain lines are taken.
func (p *Peer) Way() (path string, lines bool) { return p.kind.path, p.kind.path == "" }

// StartPeer starts a peer that delivers all events to each of the destinations,
// and waits until it listens.
func StartPeer(ctx context.Context, name string, config Config, destinations []Destination) (*Peer, error) {
	kind, ok := peers()[name]
	if !ok {
		return nil, fmt.Errorf("no peer is called %q", name)
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, err
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	p := &Peer{kind: kind, config: config, address: address}
	text := kind.configure(address, config.Dir, destinations)
	if err := os.WriteFile(p.configFile(), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return p, p.start(ctx)
}

// Restart starts the peer again on what it left; its process must have ended.
func (p *Peer) Restart(ctx context.Context) error { return p.start(ctx) }

func (p *Peer) configFile() string { return filepath.Join(p.config.Dir, "config") }

func (p *Peer) start(ctx context.Context) (err error) {
	p.process, err = process.Start(ctx, process.Spec{Path: p.config.Binary, Args: p.kind.args(p.configFile(), p.config.Dir), Log: p.config.Log})
	if err != nil {
		return err
	}
	if err = p.awaitListening(ctx); err != nil {
		return errors.Join(err, p.process.Kill())
	}
	return nil
}

func (p *Peer) awaitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		conn, err := net.DialTimeout("tcp", p.address, time.Second)
		if err == nil {
			return conn.Close()
		}
		if p.process.Ended() {
			return fmt.Errorf("wait until %s listens: it has ended", filepath.Base(p.config.Binary))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s listens: %w", filepath.Base(p.config.Binary), err)
		case <-time.After(10 * readyPoll):
		}
	}
}

// collector is an OpenTelemetry Collector whose queue is on disk and synced before
// a request is answered, a request of producers being one of the queue. The queue
// holds back producers when it is full.
func collector() peer {
	return peer{find: buildCollector, configure: collectorConfig, path: "/events",
		args: func(config, _ string) []string { return []string{"--config", config} }}
}

// buildCollector builds the program in testservers/otelcol, a module of its own.
func buildCollector(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Module.Dir}}", "github.com/sluicelog/sluice").Output()
	if err != nil {
		return "", fmt.Errorf("find the source of otelcol: %w", err)
	}
	program := filepath.Join(dir, "otelcol")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = filepath.Join(strings.TrimSpace(string(root)), "testservers", "otelcol")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("testservers/otelcol cannot be built: %w: %.500s", err, text)
	}
	return program, nil
}

func collectorConfig(address, dir string, destinations []Destination) string {
	var b, names strings.Builder
	fmt.Fprintf(&b, `receivers:
  webhookevent:
    endpoint: %s
    path: /events
    read_timeout: 10s
    write_timeout: 10s
    split_logs_at_newline: true
extensions:
  file_storage:
    directory: %s
    create_directory: true
    fsync: true
exporters:
`, address, filepath.Join(dir, "queue"))
	for i, d := range destinations {
		fmt.Fprintf(&b, `  otlphttp/%d:
    logs_endpoint: %s
    compression: none
    retry_on_failure:
      max_elapsed_time: 0
    sending_queue:
      storage: file_storage
      queue_size: 10000
      block_on_overflow: true
`, i+1, d.URL)
		fmt.Fprintf(&names, "otlphttp/%d, ", i+1)
	}
	fmt.Fprintf(&b, `service:
  extensions: [file_storage]
  pipelines:
    logs:
      receivers: [webhookevent]
      exporters: [%s]
  telemetry:
    metrics:
      level: none
    logs:
      level: error
`, strings.TrimSuffix(names.String(), ", "))
	return b.String()
}

// syslogNG is syslog-ng with its reliable disk buffer. It takes lines over TCP: no
// answer says that they are stored, and the buffer is not synced.
func syslogNG() peer {
	return peer{find: findSyslogNG, configure: syslogNGConfig, args: syslogNGArgs}
}

func findSyslogNG(context.Context, string) (string, error) {
	const advice = "it is not installed (apt-get install syslog-ng-core syslog-ng-mod-http)"
	program, err := exec.LookPath("syslog-ng")
	if err != nil {
		return "", errors.New(advice)
	}
	text, err := exec.Command(program, "--version").Output()
	if err != nil || !strings.Contains(string(text), "http") {
		return "", errors.New(advice)
	}
	return program, nil
}

func syslogNGArgs(config, dir string) []string {
	in := func(name string) string { return filepath.Join(dir, name) }
	return []string{"--foreground", "--no-caps", "--cfgfile", config, "--persist-file", in("persist"), "--pidfile", in("pid"), "--control", in("control")}
}

func syslogNGConfig(address, dir string, destinations []Destination) string {
	host, port, _ := net.SplitHostPort(address) // it is ours
	var b, names strings.Builder
	fmt.Fprintf(&b, `@version: 3.35
options { stats-freq(0); log-msg-size(65536); use-dns(no); dns-cache(no); threaded(yes); };
source s_lines { network(ip("%s") port(%s) transport("tcp") flags(no-parse)
  max-connections(512) log-fetch-limit(1000) log-iw-size(102400)); };
`, host, port)
	for i, d := range destinations {
		fmt.Fprintf(&b, `destination d_%d { http(url("%s") method("POST") body("${MESSAGE}") delimiter("\n")
  batch-lines(1000) batch-bytes(1048576) timeout(30) time-reopen(1) retries(1000000) persist-name("d_%d")
  disk-buffer(reliable(yes) disk-buf-size(4294967296) mem-buf-size(67108864) dir("%s"))); };
`, i+1, d.URL, i+1, dir)
		fmt.Fprintf(&names, "destination(d_%d); ", i+1)
	}
	fmt.Fprintf(&b, "log { source(s_lines); %sflags(flow-control); };\n", names.String())
	return b.String()
}
