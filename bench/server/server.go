// Package server runs the program that the drills break: the real server, a process
// of its own that is started, stopped and killed as often as a drill likes, on one
// folder of data and at one address. What a drill asks of it, and what it makes of a
// death that nobody ordered, is the drill's own.
package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/client"
)

// AdminToken is the administrator's token of every server here.
const AdminToken = "drill-administrator-token-0123456789abcdef"

// Config says how to start a server. What is changed counts from the next start on.
type Config struct {
	Binary string
	Data   string
	Log    string   // file that what it says is added to
	Args   []string // besides those that every server here has
	Env    []string // as Args
}

// A Server is the program in all its lives. One goroutine starts and ends it; any
// may call it.
type Server struct {
	Config
	Admin *client.Client // as the administrator

	port    *process.Port
	log     *os.File
	began   int64            // where the log of this life begins
	process *process.Process // nil when it does not run
	last    *process.Process // that a method here has ended last
}

// New returns a server that does not run yet.
func New(c Config) (_ *Server, err error) {
	c.Env = append([]string{"SLUICE_REQUEST_LIMIT=0"}, c.Env...)
	s := &Server{Config: c}
	if s.port, err = process.HoldPort(); err != nil {
		return nil, err
	}
	if s.Admin, err = s.Client(AdminToken); err != nil {
		return nil, errors.Join(err, s.port.Release())
	}
	if s.log, err = os.OpenFile(c.Log, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, errors.Join(err, s.port.Release())
	}
	return s, nil
}

// Close kills the server where it runs, and gives its address back. The log stays.
func (s *Server) Close() error {
	return errors.Join(s.Kill(), s.log.Close(), s.port.Release())
}

// URL returns where the server is.
func (s *Server) URL() string { return "http://" + s.port.Address }

// Client returns a client with a token.
func (s *Server) Client(token string) (*client.Client, error) {
	return client.New(client.Config{Server: s.URL(), Token: token})
}

// Launch starts the process and does not wait for it. env is for this life alone.
func (s *Server) Launch(ctx context.Context, env ...string) error {
	about, err := s.log.Stat()
	if err != nil {
		return err
	}
	s.began = about.Size()
	p, err := process.Start(ctx, process.Spec{
		Path: s.Binary,
		Args: append([]string{"serve", "--data", s.Data, "--listen", s.port.Address, "--allow-private-destinations", "--segment-size", "4MiB"}, s.Args...),
		Env:  append(append([]string{"SLUICE_ADMIN_TOKEN=" + AdminToken}, s.Env...), env...),
		Log:  s.log,
	})
	s.process = p
	return err
}

// ErrEnded says that the server has ended instead of becoming ready.
var ErrEnded = errors.New("the server ended while it started")

// Start starts the process and waits until it is ready. Unless it is, it does not
// run.
func (s *Server) Start(ctx context.Context, env ...string) error {
	if err := s.Launch(ctx, env...); err != nil {
		return err
	}
	ended := false
	err := Await(ctx, Patience, "the server to be ready", func(ctx context.Context) error {
		if ended = s.Ended(); ended {
			return nil
		}
		return s.Admin.Ready(ctx)
	})
	if ended {
		err = ErrEnded
	}
	if err != nil {
		err = errors.Join(err, s.Kill())
	}
	return err
}

// Running reports whether the server was started and not ended by a method here.
func (s *Server) Running() bool { return s.process != nil }

// Ended reports whether the server, which runs, has ended by itself.
func (s *Server) Ended() bool { return s.process != nil && s.process.Ended() }

// Kill ends the process with SIGKILL. One that does not run is none to kill.
func (s *Server) Kill() error { return s.end((*process.Process).Kill) }

// Stop ends the process as an operator would.
func (s *Server) Stop() error { return s.end((*process.Process).Stop) }

func (s *Server) end(how func(*process.Process) error) error {
	if s.process == nil {
		return nil
	}
	err := how(s.process)
	s.process, s.last = nil, s.process
	s.Admin.Close() // its connections lead nowhere
	return err
}

// InOrder reports whether the last life, which Stop has ended, did so as it should,
// with a status of 0. killed is true when it was ended by SIGKILL.
func (s *Server) InOrder() (ok, killed bool) {
	state := s.last.State()
	status, _ := state.Sys().(syscall.WaitStatus)
	return state.Success(), status.Signaled() && status.Signal() == syscall.SIGKILL
}

// OpenFiles counts the files and connections that the process has open.
func (s *Server) OpenFiles() (int, error) { return s.process.OpenFiles() }

// Log returns what the server has said in all its lives.
func (s *Server) Log() []byte { return s.said(0) }

// LifeLog returns what it has said in this life, or in the last one.
func (s *Server) LifeLog() []byte { return s.said(s.began) }

func (s *Server) said(from int64) []byte {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return text[min(from, int64(len(text))):]
}

// Patience is how long drills wait for what has to happen. It is long, for machines
// that do much else: what fails must not be the machine.
const Patience = 60 * time.Second

const pollEvery = 10 * time.Millisecond

// Await tries again until try returns nil. It gives up after patience, with what try
// said last.
func Await(ctx context.Context, patience time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error // before patience ended, if there is one
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waited %v for %s: %w", patience, what, last)
		}
		Pause(ctx, pollEvery)
	}
}

// Pause waits for d or for the end of ctx.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
