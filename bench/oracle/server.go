package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/sluicelog/sluice/bench/server"
)

// subject is the server under judgement. Its life is in the hands of one
// goroutine; it may be called by several.
type subject struct {
	*server.Server
	client *http.Client
	power  Power       // nil for none
	failed atomic.Bool // the disk failed in this life
	// death is where a server that is launched now is to end itself: see
	// [Config.Death]. "" for nowhere.
	death   string
	full    atomic.Bool  // the disk is full
	emptied atomic.Int64 // when there was space again, in nanoseconds since 1970
	refused atomic.Int64 // posts that were answered with 507, while that was right
}

func newSubject(cfg Config) (*subject, error) {
	dir := cfg.Dir
	switch {
	case cfg.Power != nil:
		dir = cfg.Power.Path()
	case cfg.Space != nil:
		dir = cfg.Space.Path()
	}
	s, err := server.New(server.Config{Binary: cfg.Binary, Data: filepath.Join(dir, "data"), Log: filepath.Join(cfg.Dir, "server.log"), Env: cfg.Env})
	return &subject{Server: s, client: newClient(), power: cfg.Power}, err
}

func newClient() *http.Client {
	return &http.Client{Timeout: loadTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
}

// launch starts the process and does not wait for it.
func (s *subject) launch(ctx context.Context) error {
	s.failed.Store(false)
	return s.Launch(ctx, s.fate()...)
}

// start starts the process and waits until it is ready.
func (s *subject) start(ctx context.Context) error {
	s.failed.Store(false)
	err := s.Start(ctx, s.fate()...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, server.ErrEnded) && s.death != "":
		err = errDied
	}
	return errors.Join(err, s.cut())
}

// fate tells a server that is to end itself where.
func (s *subject) fate() []string {
	if s.death == "" {
		return nil
	}
	return []string{"SLUICE_FAILPOINT=" + s.death}
}

// errDied says that the server died where it was to die, before it was ready.
var errDied = errors.New("the server died while it started")

// dead reports whether a server has died where it was to die.
func (s *subject) dead() bool { return s.death != "" && s.Ended() }

// kill ends the process with SIGKILL, and takes the power from its disk. It is an
// error when it had ended by itself, unless its disk had failed or it was to die.
func (s *subject) kill() error {
	if !s.Running() {
		return nil
	}
	ended := s.Ended() && !s.failed.Load() && s.death == ""
	err := s.Kill()
	s.client.CloseIdleConnections()
	if ended {
		err = errors.Join(err, errors.New("the server ended by itself"))
	}
	return errors.Join(err, s.cut())
}

// cut takes the power from the disk, when it may.
func (s *subject) cut() error {
	if s.power == nil {
		return nil
	}
	return s.power.Cut(context.Background())
}

// fail lets every write of the server fail from now on. It may end by itself then.
func (s *subject) fail() error {
	s.failed.Store(true)
	return s.power.Fail()
}

// stop ends the process as an operator would.
func (s *subject) stop() error {
	err := s.Stop()
	s.client.CloseIdleConnections()
	if ok, _ := s.InOrder(); !ok && err == nil {
		err = errors.New("the server did not end in order when it was stopped")
	}
	return err
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
func (s *subject) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.URL()+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+server.AdminToken)
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

// parts returns the sum of the accounts of the stream's partitions. An account of one
// that does not add up is told.
func (v *view) parts() (sum ledger, err error) {
	var lanes []struct {
		Partition string `json:"partition"`
		Ledger    ledger `json:"ledger"`
	}
	if err := json.Unmarshal(v.Lanes, &lanes); err != nil {
		return sum, err
	}
	for _, l := range lanes {
		if !l.Ledger.balanced() && err == nil {
			err = fmt.Errorf("%s: %v", l.Partition, l.Ledger)
		}
		sum.Accepted += l.Ledger.Accepted
		sum.Delivered += l.Ledger.Delivered
		sum.Filtered += l.Ledger.Filtered
		sum.Pending += l.Ledger.Pending
		sum.Quarantined += l.Ledger.Quarantined
		sum.Expired += l.Ledger.Expired
	}
	return sum, err
}

func (s *subject) stream(ctx context.Context, id int64) (view, error) {
	var v view
	return v, s.call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/streams/%d", id), nil, &v)
}

func (s *subject) list(ctx context.Context) ([]view, error) {
	var v struct {
		Streams []view `json:"streams"`
	}
	return v.Streams, s.call(ctx, http.MethodGet, "/api/v1/streams", nil, &v)
}
