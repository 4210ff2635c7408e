// Package target starts the servers that the benchmark measures: the floor and
// Sluice, each as a child process with destinations to deliver to.
package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/sluicelog/sluice/bench/process"
)

// A Destination is where a server delivers to.
type Destination struct {
	URL string // of an HTTP receiver that takes NDJSON
	// Kind, Config and Secrets make a destination of another kind, which has no
	// URL. Sluice only.
	Kind    string
	Config  map[string]any
	Secrets map[string]string
	// Namespace is the top-level namespace whose events go there, "" for all
	// events. Paused makes a stream that does not deliver yet. Sluice only.
	Namespace string
	Paused    bool
}

// Config says how to start a server.
type Config struct {
	Binary  string    // of the server
	Dir     string    // absent or empty, or what the server left there; belongs to it
	Log     io.Writer // gets what the server writes to standard error
	Profile string    // file for a CPU profile; "" for none. Sluice only
	NoIndex bool      // keep no search index. Sluice only
	// Compression is how the log is stored; "" is as shipped. Sluice only.
	Compression string
	// Retention is the most that the audit log takes on disk, as the server's flag
	// has it; "" is no limit. Sluice only.
	Retention string
}

// A Server is a started server.
type Server interface {
	// Address is the host and port that producers post to.
	Address() string
	// Token is what producers authenticate with.
	Token() string
	// Process is the server's process.
	Process() *process.Process
	// Restart starts the server again at its address on what it left; its process
	// must have ended. The floor forgets what it has to deliver.
	Restart(ctx context.Context) error
}

// FreeAddress returns a loopback address that nobody listened on a moment ago.
func FreeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// A Floor is the started floor.
type Floor struct {
	address string
	process *process.Process
}

// Restart is not for the floor: it has another address each time.
func (f *Floor) Restart(context.Context) error { return errors.New("the floor starts once") }

var _ Server = (*Floor)(nil)

// StartFloor starts the floor, which is a subcommand of the benchmark itself.
func StartFloor(ctx context.Context, config Config, destinations []Destination) (*Floor, error) {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start floor: %w", err)
	}
	args := []string{"floor", config.Dir}
	for _, d := range destinations {
		args = append(args, d.URL)
	}
	p, err := process.Start(ctx, process.Spec{Path: config.Binary, Args: args, Log: config.Log})
	if err != nil {
		return nil, err
	}
	address, err := p.Line()
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("start floor: %w", err)
	}
	return &Floor{address: address, process: p}, nil
}

func (f *Floor) Address() string           { return f.address }
func (f *Floor) Token() string             { return "any" }
func (f *Floor) Process() *process.Process { return f.process }
