package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/bench/process"
)

const adminToken = "oracle-administrator-token-0123456789abcdef"

// segmentSize is the smallest there is, so that segments are closed and begun all the time.
const segmentSize = "4MiB"

// server is the process under judgement. Its life is in the hands of one
// goroutine; it may be called by several.
type server struct {
	binary  string
	data    string
	port    *process.Port // the same in every life, as a real one has
	log     *os.File
	client  *http.Client
	process *process.Process // nil when it does not run
	power   Power            // nil for none
	env     []string         // besides what every life has
	failed  atomic.Bool      // the disk failed in this life
	// death is where a server that is launched now is to end itself: see
	// [Config.Death]. "" for nowhere.
	death   string
	full    atomic.Bool  // the disk is full
	emptied atomic.Int64 // when there was space again, in nanoseconds since 1970
	refused atomic.Int64 // posts that were answered with 507, while that was right
}

func newServer(cfg Config) (*server, error) {
	log, err := os.OpenFile(filepath.Join(cfg.Dir, "server.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	port, err := process.HoldPort()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	dir := cfg.Dir
	switch {
	case cfg.Power != nil:
		dir = cfg.Power.Path()
	case cfg.Space != nil:
		dir = cfg.Space.Path()
	}
	return &server{binary: cfg.Binary, data: filepath.Join(dir, "data"), port: port, log: log, client: newClient(), power: cfg.Power, env: cfg.Env}, nil
}

func newClient() *http.Client {
	return &http.Client{Timeout: loadTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
}

func (s *server) url(path string) string { return "http://" + s.port.Address + path }

// launch starts the process and does not wait for it.
func (s *server) launch(ctx context.Context) error {
	s.failed.Store(false)
	env := append([]string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SLUICE_REQUEST_LIMIT=0"}, s.env...)
	if s.death != "" {
		env = append(env, "SLUICE_FAILPOINT="+s.death)
	}
	p, err := process.Start(ctx, process.Spec{
		Path: s.binary,
		Args: []string{"serve", "--data", s.data, "--listen", s.port.Address, "--allow-private-destinations",
			"--segment-size", segmentSize},
		Env: env,
		Log: s.log,
	})
	s.process = p
	return err
}

// errDied says that the server died where it was to die, before it was ready.
var errDied = errors.New("the server died while it started")

// dead reports whether a server has died where it was to die.
func (s *server) dead() bool { return s.death != "" && s.process != nil && s.process.Ended() }

// start starts the process and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	if err := s.launch(ctx); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := s.call(patience, http.MethodGet, "/readyz", nil, nil)
		if err == nil {
			return nil
		}
		if s.dead() {
			return errors.Join(errDied, s.kill())
		}
		if s.process.Ended() {
			return errors.Join(errors.New("the server ended while it started"), s.kill())
		}
		if patience.Err() != nil {
			return errors.Join(fmt.Errorf("the server was not ready within %v: %w", readyTimeout, err), s.kill())
		}
		pause(patience, 3*time.Millisecond)
	}
}

// kill ends the process with SIGKILL, and takes the power from its disk. It is an
// error when it had ended by itself, unless its disk had failed or it was to die.
func (s *server) kill() error {
	if s.process == nil {
		return nil
	}
	ended := s.process.Ended() && !s.failed.Load() && s.death == ""
	err := s.process.Kill()
	s.process = nil
	s.client.CloseIdleConnections()
	if ended {
		err = errors.Join(err, errors.New("the server ended by itself"))
	}
	if s.power != nil {
		err = errors.Join(err, s.power.Cut(context.Background()))
	}
	return err
}

// fail lets every write of the server fail from now on. It may end by itself then.
func (s *server) fail() error {
	s.failed.Store(true)
	return s.power.Fail()
}

// stop ends the process as an operator would.
func (s *server) stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.Stop()
	s.process = nil
	s.client.CloseIdleConnections()
	return err
}

func (s *server) close() {
	_ = s.kill() // it is over
	_ = s.log.Close()
	_ = s.port.Release()
}

// statusError is an answer that is not 2xx.
type statusError struct {
	status int
	words  string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.words) }

func isStatus(err error, status int) bool {
	var e *statusError
	return errors.As(err, &e) && e.status == status
}

// call makes a request as administrator and decodes the answer into out. An
// error that is no [statusError] leaves open whether the request took effect.
func (s *server) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url(path), body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return &statusError{resp.StatusCode, method + " " + path + ": " + strings.TrimSpace(string(answer))}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// ledger is the account of a stream, as the API tells it.
type ledger struct {
	Accepted    uint64 `json:"accepted"`
	Delivered   uint64 `json:"delivered"`
	Filtered    uint64 `json:"filtered"`
	Pending     uint64 `json:"pending"`
	Quarantined uint64 `json:"quarantined"`
	Expired     uint64 `json:"expired"`
}

// balanced reports whether the account adds up; none of its parts can be more
// than the whole.
func (l ledger) balanced() bool {
	for _, part := range []uint64{l.Delivered, l.Filtered, l.Pending, l.Quarantined, l.Expired} {
		if part > l.Accepted {
			return false
		}
	}
	return l.Accepted == l.Delivered+l.Filtered+l.Pending+l.Quarantined+l.Expired
}

func (l ledger) String() string {
	return fmt.Sprintf("accepted %d = delivered %d + filtered %d + pending %d + quarantined %d + expired %d",
		l.Accepted, l.Delivered, l.Filtered, l.Pending, l.Quarantined, l.Expired)
}

// view is a stream, as the API tells it.
type view struct {
	ID     int64           `json:"id"`
	Name   string          `json:"name"`
	Status string          `json:"status"`
	Ledger ledger          `json:"ledger"`
	Lanes  json.RawMessage `json:"lanes"`
	Health struct {
		State string `json:"state"`
	} `json:"health"`
}

func (s *server) stream(ctx context.Context, id int64) (view, error) {
	var v view
	return v, s.call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/streams/%d", id), nil, &v)
}

func (s *server) list(ctx context.Context) ([]view, error) {
	var v struct {
		Streams []view `json:"streams"`
	}
	return v.Streams, s.call(ctx, http.MethodGet, "/api/v1/streams", nil, &v)
}
