package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/process"
)

const (
	adminToken   = "bench-administrator-token-0123456789abcdef"
	readyTimeout = 60 * time.Second
	readyPoll    = 5 * time.Millisecond
	callTimeout  = 30 * time.Second
	callsAtOnce  = 8
)

// Everything that the benchmark knows about Sluice's outside is in this file and
// in read.go.

func serveArgs(c *Config, address string) []string {
	args := []string{"serve", "--data", c.Dir, "--listen", address, "--allow-private-destinations"}
	if c.NoIndex {
		args = append(args, "--index=false")
	}
	if c.Compression != "" {
		args = append(args, "--compression", c.Compression)
	}
	if c.Retention != "" {
		args = append(args, "--retention-bytes-audit", c.Retention)
	}
	return args
}

func serveEnv(profile string) []string {
	env := []string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SLUICE_REQUEST_LIMIT=0", "SLUICE_STREAM_LIMIT=1000"}
	if profile != "" {
		env = append(env, "SLUICE_CPUPROFILE="+profile)
	}
	return env
}

func tokenBody() any {
	return map[string]any{"kind": "producer", "namespace": "", "name": "bench"}
}

func streamBody(n int, d Destination) any {
	body := map[string]any{
		"namespace": d.Namespace, "name": fmt.Sprintf("bench-%d", n), "kind": "http",
		"config": map[string]any{"url": d.URL, "format": "ndjson"},
		"active": !d.Paused,
	}
	if d.Kind != "" {
		body["kind"], body["config"], body["secrets"] = d.Kind, d.Config, d.Secrets
	}
	return body
}

// A Stream is what Sluice says of a stream.
type Stream struct {
	ID     int64         `json:"id"`
	Status string        `json:"status"`
	Ledger sluice.Ledger `json:"ledger"`
}

// A Sluice is a started Sluice.
type Sluice struct {
	Config  Config        // of the next start; Dir stays
	port    *process.Port // held from the first start to Close
	address string
	token   string
	streams []Stream // in the order of the destinations
	process *process.Process
	client  *http.Client
}

var _ Server = (*Sluice)(nil)

func (s *Sluice) Address() string           { return s.address }
func (s *Sluice) Token() string             { return s.token }
func (s *Sluice) Process() *process.Process { return s.process }

// StartSluice starts Sluice, waits until it is ready, and makes a producer token
// and a stream for each destination.
func StartSluice(ctx context.Context, config Config, destinations []Destination) (*Sluice, error) {
	port, err := process.HoldPort()
	if err != nil {
		return nil, err
	}
	s := &Sluice{Config: config, port: port, address: port.Address, client: newClient()}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.setUp(ctx, destinations); err != nil {
		return nil, errors.Join(err, s.process.Kill(), s.Close())
	}
	return s, nil
}

// Close gives the address back. The process must have ended.
func (s *Sluice) Close() error { return s.port.Release() }

func newClient() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: callsAtOnce, DisableCompression: true}}
}

// Restart starts Sluice again on the data and address it had; its process must
// have ended.
func (s *Sluice) Restart(ctx context.Context) error { return s.start(ctx) }

func (s *Sluice) start(ctx context.Context) error {
	p, err := process.Start(ctx, process.Spec{Path: s.Config.Binary, Args: serveArgs(&s.Config, s.address),
		Env: serveEnv(s.Config.Profile), Log: s.Config.Log})
	if err != nil {
		return err
	}
	s.process = p
	if err := s.awaitReady(ctx); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

func (s *Sluice) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := s.call(ctx, "GET", "/readyz", nil, nil)
		if err == nil {
			return nil
		}
		if s.process != nil && s.process.Ended() {
			return errors.New("wait until sluice is ready: it has ended")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until sluice is ready: %w", err)
		case <-time.After(readyPoll):
		}
	}
}

func (s *Sluice) setUp(ctx context.Context, destinations []Destination) error {
	var token struct {
		Token string `json:"token"`
	}
	if err := s.call(ctx, "POST", "/api/v1/tokens", tokenBody(), &token); err != nil {
		return err
	}
	s.token = token.Token
	s.streams = make([]Stream, len(destinations))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callsAtOnce)
	for i, d := range destinations {
		g.Go(func() error { return s.call(ctx, "POST", "/api/v1/streams", streamBody(i, d), &s.streams[i]) })
	}
	return g.Wait()
}

// Resume resumes the streams of the destinations from to to (exclusive).
func (s *Sluice) Resume(ctx context.Context, from, to int) error {
	for _, stream := range s.streams[from:to] {
		if err := s.call(ctx, "POST", fmt.Sprintf("/api/v1/streams/%d/resume", stream.ID), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Pause pauses the streams of the destinations from from to to (exclusive).
func (s *Sluice) Pause(ctx context.Context, from, to int) error {
	for _, stream := range s.streams[from:to] {
		if err := s.call(ctx, "POST", fmt.Sprintf("/api/v1/streams/%d/pause", stream.ID), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Replace deletes the stream of destination number i, and what waits for it, and
// makes another one to d in its place.
func (s *Sluice) Replace(ctx context.Context, i int, d Destination) error {
	if err := s.call(ctx, "DELETE", fmt.Sprintf("/api/v1/streams/%d", s.streams[i].ID), nil, nil); err != nil {
		return err
	}
	return s.call(ctx, "POST", "/api/v1/streams", streamBody(i, d), &s.streams[i])
}

// Streams returns how many streams were made.
func (s *Sluice) Streams() int { return len(s.streams) }

// Stream asks for the stream of destination number i.
func (s *Sluice) Stream(ctx context.Context, i int) (stream Stream, err error) {
	return stream, s.call(ctx, "GET", fmt.Sprintf("/api/v1/streams/%d", s.streams[i].ID), nil, &stream)
}

// call makes a request as administrator and decodes the answer into out.
func (s *Sluice) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := s.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	answer, err := s.do(r)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// request returns a request as administrator.
func (s *Sluice) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

// do makes a request and reads the answer, which must be a 2xx.
func (s *Sluice) do(r *http.Request) ([]byte, error) {
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %.500s", r.Method, r.URL.Path, resp.Status, answer)
	}
	return answer, nil
}
