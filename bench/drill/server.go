// Package drill has what the smaller drills share: a server that is killed and
// started again, a producer that knows what was acknowledged, and receivers that
// know what arrived and can refuse, hang and answer slowly. Package oracle judges
// more, and for any history; a drill here plays one history that is written down,
// and judges what the oracle cannot know.
package drill

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// A Server is a server in a test, which it fails when something goes wrong. Its
// methods are called by the goroutine of the test.
type Server struct {
	*server.Server
	t testing.TB
}

// NewServer returns a server that does not run yet. It is killed when the test
// ends, and its log is kept when the test fails.
func NewServer(t testing.TB, binary string, args ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	inner, err := server.New(server.Config{Binary: binary, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "server.log"), Args: args})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{inner, t}
	t.Cleanup(func() {
		if t.Failed() {
			s.keepLog()
		}
		_ = s.Close() // it is over; it may have ended with the test's context
	})
	return s
}

// keepLog shows the end of the log and keeps all of it.
func (s *Server) keepLog() {
	log := s.Log()
	f, err := os.CreateTemp("", "sluice-drill-*.log")
	if err != nil {
		s.t.Log(err)
		return
	}
	_, _ = f.Write(log) // it is for people only
	_ = f.Close()
	s.t.Logf("the server's log is kept in %s; its end:\n%s", f.Name(), tail(log))
}

// tail returns the end of a log.
func tail(log []byte) []byte { return log[max(0, len(log)-8000):] }

// Client returns a client of the server.
func (s *Server) Client(token string) *client.Client {
	s.t.Helper()
	c, err := s.Server.Client(token)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// Launch starts the process and does not wait for it.
func (s *Server) Launch() {
	s.t.Helper()
	if err := s.Server.Launch(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// Start starts the process and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.Server.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// Kill ends the process with SIGKILL. One that had ended by itself fails the test.
func (s *Server) Kill() {
	s.t.Helper()
	s.end(s.Server.Kill)
}

// Stop ends the process as an operator would.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(s.Server.Stop)
}

func (s *Server) end(how func() error) {
	s.t.Helper()
	ended := s.Ended()
	if err := how(); err != nil {
		s.t.Error(err)
	}
	if ended {
		s.t.Error("the server had ended by itself")
	}
}

// Get reads a page or an answer as the administrator.
func (s *Server) Get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+server.AdminToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.300s", path, resp.Status, b.Bytes())
	}
	return b.Bytes(), nil
}

// Metric returns the value of a metric, as it is written with its labels.
func (s *Server) Metric(ctx context.Context, name string) (float64, error) {
	text, err := s.Get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// Await tries again until try returns nil, for a minute.
func Await(t testing.TB, what string, try func(context.Context) error) {
	t.Helper()
	if err := server.Await(t.Context(), server.Patience, what, try); err != nil {
		t.Fatal(err)
	}
}

// Descriptors counts the files and connections that the process has open.
func (s *Server) Descriptors() int {
	s.t.Helper()
	n, err := s.OpenFiles()
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}
