package flip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/client"
)

const (
	adminToken = "flip-administrator-token-0123456789"
	patience   = 60 * time.Second
	pollEvery  = 5 * time.Millisecond
)

// server is the server itself, on a folder of data.
type server struct {
	binary, data string
	port         *process.Port
	process      *process.Process
	words        bytes.Buffer // what it has written to standard error; to be read when it has ended
	admin        *client.Client
}

func newServer(binary, data string) (*server, error) {
	port, err := process.HoldPort()
	if err != nil {
		return nil, err
	}
	s := &server{binary: binary, data: data, port: port}
	if s.admin, err = client.New(client.Config{Server: "http://" + port.Address, Token: adminToken}); err != nil {
		return nil, errors.Join(err, port.Release())
	}
	return s, nil
}

func (s *server) close() error {
	s.admin.Close()
	return errors.Join(s.kill(), s.port.Release())
}

// start starts the server and waits until it is ready: nil, or until it has ended:
// [errRefused].
func (s *server) start(ctx context.Context) error {
	var err error
	s.words.Reset()
	s.process, err = process.Start(ctx, process.Spec{
		Path: s.binary,
		Args: []string{"serve", "--data", s.data, "--listen", s.port.Address, "--allow-private-destinations", "--segment-size", "4MiB"},
		Env:  []string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SLUICE_REQUEST_LIMIT=0"},
		Log:  &s.words,
	})
	if err != nil {
		return err
	}
	return await(ctx, "the server to be ready", func() error {
		if s.process.Ended() {
			if err := s.kill(); err != nil {
				return err
			}
			return errRefused
		}
		if err := s.admin.Ready(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotYet, err)
		}
		return nil
	})
}

// errRefused says that the server ended instead of starting.
var errRefused = errors.New("the server does not start")

func (s *server) stop() error {
	p := s.process
	s.process = nil
	return p.Stop()
}

func (s *server) kill() error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	return p.Kill()
}

// command runs another command of the program to its end.
func (s *server) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// post has events accepted, in one request.
func (s *server) post(ctx context.Context, events ...string) error {
	got, err := s.admin.PostEvents(ctx, []byte(strings.Join(events, "\n")), "")
	if err == nil && got.Accepted != len(events) {
		err = fmt.Errorf("%d of %d events accepted", got.Accepted, len(events))
	}
	return err
}

// settled waits until nothing that may be delivered is pending any more.
func (s *server) settled(ctx context.Context) ([]client.Stream, error) {
	var streams []client.Stream
	err := await(ctx, "deliveries", func() error {
		var err error
		if streams, err = s.admin.Streams(ctx, nil); err != nil {
			return err
		}
		for _, v := range streams {
			if v.Active && v.Ledger.Pending > 0 {
				return fmt.Errorf("%w: %s is %s: %+v", errNotYet, v.Name, v.Status, v.Ledger)
			}
		}
		return nil
	})
	return streams, err
}

// errNotYet says that it is worth to try again.
var errNotYet = errors.New("not yet")

// await calls try until it answers something else than [errNotYet].
func await(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := try()
		if !errors.Is(err, errNotYet) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}

// receiver is the destination of all streams: the path of a request is the name of
// the stream.
type receiver struct {
	address string
	server  *http.Server
	work    sync.WaitGroup

	mu  sync.Mutex
	got map[string]map[string]string // payloads by stream and id
	bad []string                     // what should not have come
}

// newReceiver listens at an address, or anywhere when that is "".
func newReceiver(address string) (*receiver, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	r := &receiver{address: l.Addr().String(), got: map[string]map[string]string{}}
	r.server = &http.Server{Handler: r}
	r.work.Go(func() { _ = r.server.Serve(l) }) // it ends with close
	return r, nil
}

func (r *receiver) close() {
	_ = r.server.Close()
	r.work.Wait()
}

// poison is in events that the receiver of the stream picky refuses for ever.
const poison = `"poison":true`

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	stream := strings.TrimPrefix(req.URL.Path, "/")
	if stream == picky && bytes.Contains(body, []byte(poison)) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.SplitSeq(strings.TrimSuffix(string(body), "\n"), "\n") {
		r.take(stream, line)
	}
}

// take notes an event. An event that comes again has to be the same.
func (r *receiver) take(stream, payload string) {
	var e struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(payload), &e); err != nil || e.ID == "" {
		r.bad = append(r.bad, fmt.Sprintf("%s got %.100q: %v", stream, payload, err))
		return
	}
	if r.got[stream] == nil {
		r.got[stream] = map[string]string{}
	}
	if before, again := r.got[stream][e.ID]; again && before != payload {
		r.bad = append(r.bad, fmt.Sprintf("%s got event %s twice, with other bytes", stream, e.ID))
	}
	r.got[stream][e.ID] = payload
}

// take returns what has come, and begins anew.
func (r *receiver) reset() (got map[string]map[string]string, bad []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, bad = r.got, r.bad
	r.got, r.bad = map[string]map[string]string{}, nil
	return got, bad
}
