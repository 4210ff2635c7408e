package flip

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// subject is the server that plays with a sample.
type subject struct{ *server.Server }

// newSubject returns a server on a folder, which does not run yet. Its log lies
// beside the folder.
func newSubject(binary, data string) (subject, error) {
	s, err := server.New(server.Config{Binary: binary, Data: data, Log: data + ".log"})
	return subject{s}, err
}

// start starts the server and waits until it is ready, or until it has ended:
// [server.ErrEnded].
func (s subject) start(ctx context.Context) error { return s.Start(ctx) }

// command runs another command of the program to its end.
func (s subject) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.Binary, args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// post has events accepted, in one request.
func (s subject) post(ctx context.Context, events ...string) error {
	got, err := s.Admin.PostEvents(ctx, []byte(strings.Join(events, "\n")), "")
	if err == nil && got.Accepted != len(events) {
		err = fmt.Errorf("%d of %d events accepted", got.Accepted, len(events))
	}
	return err
}

// settled waits until nothing that may be delivered is pending any more.
func (s subject) settled(ctx context.Context) ([]client.Stream, error) {
	var streams []client.Stream
	err := server.Await(ctx, server.Patience, "deliveries", func(ctx context.Context) error {
		var err error
		if streams, err = s.Admin.Streams(ctx, nil); err != nil {
			return err
		}
		for _, v := range streams {
			if v.Active && v.Ledger.Pending > 0 {
				return fmt.Errorf("%s is %s: %+v", v.Name, v.Status, v.Ledger)
			}
		}
		return nil
	})
	return streams, err
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
