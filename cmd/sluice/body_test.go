package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/web"
)

// pipeListener has one connection, which is in memory.
type pipeListener struct{ conns chan net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A body that comes too slowly ends in time, whether it is read or not, and one
// that has come leaves the handler all the time it wants.
func TestSlowBodies(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		body    string        // that comes at once, of ten bytes
		want    time.Duration // until the answer
		status  int
	}{
		"read": {func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err == nil {
				t.Error("read: got no error, want a timeout")
			}
			w.WriteHeader(http.StatusBadRequest)
		}, "1234", bodyTime, http.StatusBadRequest},
		"refused": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "1234", bodyTime, http.StatusUnauthorized},
		"whole": {func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				t.Error(err)
			}
			select {
			case <-time.After(2 * bodyTime):
			case <-r.Context().Done():
				t.Error("whole: the request ended while it was answered")
			}
		}, "1234567890", 2 * bodyTime, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &pipeListener{make(chan net.Conn, 1)}
				srv := &http.Server{Handler: inTime(c.handler), WriteTimeout: writeTimeout}
				done := make(chan error, 1)
				go func() { done <- srv.Serve(l) }()
				ours, theirs := net.Pipe()
				l.conns <- theirs
				began := time.Now()
				go func() { _, _ = fmt.Fprintf(ours, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n%s", c.body) }()
				resp, err := http.ReadResponse(bufio.NewReader(ours), nil)
				if err != nil || resp.StatusCode != c.status {
					t.Fatalf("got %v with error %v, want status %d", resp, err, c.status)
				}
				if took := time.Since(began); took != c.want {
					t.Errorf("answered after %s, want %s", took, c.want)
				}
				_ = resp.Body.Close()
				_ = ours.Close()
				close(l.conns)
				_ = srv.Close()
				if err := <-done; err != nil && !strings.Contains(err.Error(), "closed") {
					t.Error(err)
				}
			})
		})
	}
}

// A body that never comes holds no connection for longer than that, whatever it was
// announced for: each would be one less for producers.
func TestBodiesThatDoNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controltest.New(t, nil)
		cfg := defaultConfig()
		s := &server{cfg: &cfg, lg: w.Logger(), parts: &parts{snapshots: &snapshots{}, control: w.Service}}
		h, metrics, _ := s.handlers(web.New(web.Config{Service: w.Service}), nil)
		for _, head := range []string{
			"POST /api/v1/events", "GET /api/v1/events", "POST /api/v1/streams", "GET /healthz", "GET /-/sign_in", "POST /-/nothing", "POST /api/graphql", "GET /orgs/acme/audit-log",
			"POST /services/collector", "GET /services/collector/health", "POST /services/collector/health", "GET /services/collector/nothing",
			"POST //api/v1/events", "GET /services/../services/collector", "OPTIONS *", "PUT /nothing",
		} {
			if took := answered(t, s.httpServer(h), head); took > bodyTime {
				t.Errorf("%s: answered after %s, want %s at most", head, took, bodyTime)
			}
		}
		if took := answered(t, s.httpServer(metrics), "POST /metrics"); took > bodyTime {
			t.Errorf("metrics: answered after %s, want %s at most", took, bodyTime)
		}
		w.Stop()
	})
}

// answered sends a request whose body does not come and returns how long the answer
// takes, an hour when there is none.
func answered(t *testing.T, srv *http.Server, head string) time.Duration {
	t.Helper()
	l := &pipeListener{make(chan net.Conn, 1)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	ours, theirs := net.Pipe()
	l.conns <- theirs
	began := time.Now()
	_ = ours.SetDeadline(began.Add(time.Hour))
	go func() { _, _ = fmt.Fprintf(ours, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1234", head) }()
	if resp, err := http.ReadResponse(bufio.NewReader(ours), nil); err == nil {
		_ = resp.Body.Close()
	}
	took := time.Since(began)
	_ = ours.Close()
	close(l.conns)
	_ = srv.Close()
	<-done
	return took
}
