package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/github"
	"github.com/sluicelog/sluice/gitlab"
	"github.com/sluicelog/sluice/graphql"
	"github.com/sluicelog/sluice/ingest"
	"github.com/sluicelog/sluice/quota"
	"github.com/sluicelog/sluice/rest"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
	"github.com/sluicelog/sluice/web"
)

// Limits of every server that listens.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	// writeTimeout is how long a request may take in all, and its answer to be
	// taken; exports and live readers have one for each piece.
	writeTimeout   = 3 * time.Minute
	maxHeaderBytes = 64 << 10
)

// runServe runs the server until ctx ends. Then it takes no new requests,
// finishes those under way, lets deliveries end, and closes control state and
// log in that order.
func runServe(ctx context.Context, cfg Config, env *Env) error {
	lg := newLogger(&cfg, env)
	defer catchLibraryLog(lg)()
	for _, w := range cfg.Warnings() {
		lg.WarnContext(ctx, w)
	}
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // whoever reads the log may go away
	defer signal.Stop(pipes)
	stopProfile, err := startProfile(env)
	if err != nil {
		return err
	}
	defer stopProfile()
	listeners, err := listen(&cfg)
	if err != nil {
		return err
	}
	defer listeners.close()
	p, err := openParts(ctx, &cfg, lg)
	if errors.Is(err, store.ErrDamaged) {
		return adviseRestore(cfg.Data, err)
	}
	if err != nil {
		return err
	}
	made, err := p.control.EnsureAdmin(ctx, secret.Text(cfg.AdminToken.Reveal()))
	if err != nil {
		return errors.Join(err, p.close())
	}
	failpoint.Here(failpoint.AdministratorGiven)
	s := &server{cfg: &cfg, lg: lg, parts: p, listeners: listeners}
	announce(env, s, made)
	err = errors.Join(s.run(ctx), p.close())
	if errors.Is(err, store.ErrDamaged) {
		return adviseRestore(cfg.Data, err)
	}
	return err
}

func newLogger(cfg *Config, env *Env) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(env.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(env.Stderr, opts))
}

// listeners are the sockets of a server; they are opened before the state, so
// that a port in use changes nothing.
type listeners struct {
	main, metrics net.Listener // metrics may be nil
}

// listenAt opens a socket; the setting that names its address is what to change
// when another program has it. For share see [bounded].
func listenAt(address, setting string, share int) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program uses %s; stop it, or give another address with %s: %w", address, setting, err)
	}
	if err != nil {
		return nil, err
	}
	return bounded(l, share)
}

func listen(cfg *Config) (*listeners, error) {
	l := &listeners{}
	var err error
	if l.main, err = listenAt(cfg.Listen, "--listen", mainShare); err != nil {
		return nil, err
	}
	if cfg.MetricsListen != "" {
		if l.metrics, err = listenAt(cfg.MetricsListen, "--metrics-listen", metricsShare); err != nil {
			l.close()
			return nil, err
		}
	}
	if cfg.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("load the certificate: %w", err)
		}
		l.main = tls.NewListener(l.main, &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	return l, nil
}

// close closes the sockets; a server that was shut down has closed them before.
func (l *listeners) close() {
	for _, x := range []net.Listener{l.main, l.metrics} {
		if x != nil {
			_ = x.Close()
		}
	}
}

// announcement stands before the server's address.
const announcement = "Sluice listens on "

// announced finds the address in what a server has written, "" when it is not
// there yet.
func announced(text string) string {
	_, rest, _ := strings.Cut(text, announcement)
	if url, _, whole := strings.Cut(rest, " "); whole {
		return url
	}
	return ""
}

// announce tells a person where the server is and how to begin.
func announce(env *Env, s *server, made string) {
	url := s.url()
	w := env.Stderr
	_, _ = fmt.Fprintf(w, "\n%s%s and keeps its data in %s\n", announcement, url, s.cfg.Data)
	_, _ = fmt.Fprintf(w, "Its pages are at %s/-/\n", cmp.Or(s.cfg.ExternalURL.String(), url))
	if made == "" {
		_, _ = fmt.Fprintln(w)
		return
	}
	_, _ = fmt.Fprintf(w, `
The administrator's token, shown this once:

  %s

Begin with:

  export SLUICE_SERVER=%s SLUICE_TOKEN=%s
  echo '{"event_type":"user.add","entity_path":"acme/web","author_name":"jane"}' | sluice emit
  sluice stream create --namespace acme --url https://example.com/hook

or open the pages and make the first user with this token,
or see everything at work on this machine with: sluice demo

`, made, url, made)
}

// server is a running server.
type server struct {
	cfg       *Config
	lg        *slog.Logger
	parts     *parts
	listeners *listeners
}

func (s *server) url() string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + s.listeners.main.Addr().String()
}

// handlers returns the main handler, the one for the metrics listener, and what
// ends the answers that end by themselves never.
func (s *server) handlers(site *web.Site, requests *quota.Requests) (main, metricsOnly http.Handler, endless func()) {
	in := ingest.New(s.parts.control, ingest.Options{
		MaxRequest: int(s.cfg.MaxRequest), MaxEvent: int(s.cfg.MaxEvent), Memory: int(s.cfg.IngestMemory), Logger: s.lg,
		Allow: "GET, HEAD, POST",
	})
	api := rest.New(rest.Config{
		Service: s.parts.control, Logger: s.lg, Version: version(), Session: site.Session, Guard: site.Guard(), Requests: requests,
		Snapshots: s.parts.snapshots.Figures,
	})
	others := http.NewServeMux()
	others.Handle("/-/", site)
	others.Handle("GET /{$}", http.RedirectHandler("/-/", http.StatusFound))
	hub := github.New(github.Config{Service: s.parts.control, Logger: s.lg, Requests: requests, External: s.cfg.ExternalURL.String()})
	for _, path := range append(github.Roots(), github.Prefix+"/") {
		others.Handle(path, hub)
	}
	others.Handle("/api/v4/", gitlab.New(gitlab.Config{Service: s.parts.control, Logger: s.lg, Requests: requests, External: s.cfg.ExternalURL.String()}))
	others.Handle("/api/graphql", graphql.New(graphql.Config{
		Service: s.parts.control, Logger: s.lg, Session: site.Session, Guard: site.Guard(), Requests: requests,
	}))
	collector := in.Collector()
	others.Handle("/services/collector", collector)
	others.Handle("/services/collector/", collector)
	others.Handle("/", api)
	metrics := http.NewServeMux()
	metrics.Handle("/metrics", api.Metrics())
	for _, path := range []string{"/healthz", "/readyz"} {
		metrics.Handle(path, api)
	}
	answers := &backlog{most: maxBacklog}
	return front(in, answers.bound(inTime(others))), inTime(metrics), api.Stop
}

// front hands posts of events to the surface that bounds their time itself, and all
// other requests to others. It is no mux, which would answer some by itself, without
// a bound on the time of what they send.
func front(events, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/events" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			events.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// run serves until ctx ends or a part fails, then stops everything in the
// reverse order of its start.
func (s *server) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var stages stages
	defer stages.stop()
	p := s.parts
	stages.start("snapshots", fail, p.snapshots.run) // the last to stop: it keeps what all others have written
	stages.start("reserve", fail, p.reserve.run)
	stages.start("memory", fail, boundMemory)
	stages.start("log", fail, p.log.Run)
	stages.start("delivery", fail, p.deliver.Run)
	stages.start("control", fail, p.control.Run)
	if p.search != nil {
		stages.start("search", fail, p.search.Run)
	}
	if err := s.tell(ctx, &stages, fail, p.tellRestored); err != nil {
		return errors.Join(err, stages.stop())
	}
	requests := quota.New(s.cfg.RequestLimit, nil) // of all surfaces together
	site := web.New(web.Config{Service: p.control, Logger: s.lg, Version: version(), External: s.cfg.ExternalURL, TrustedProxies: s.cfg.TrustedProxy, Requests: requests})
	stages.start("web", fail, site.Run)

	mainHandler, metrics, endless := s.handlers(site, requests)
	stages.start("http", fail, s.serve(s.listeners.main, mainHandler, endless))
	about := []any{"url", s.url(), "version", version()}
	if l := s.listeners.metrics; l != nil {
		stages.start("metrics", fail, s.serve(l, metrics, func() {}))
		about = append(about, "metrics_url", "http://"+l.Addr().String()+"/metrics")
	}
	s.lg.InfoContext(ctx, "serving", about...)

	select {
	case <-ctx.Done():
	case <-p.log.Failed():
		fail(fmt.Errorf("the log cannot be written; the process ends so that nothing is accepted that may be lost: %w", p.log.Cause()))
	case <-p.store.Failed():
		fail(fmt.Errorf("the control state cannot be used any more; the process ends so that nothing wrong is answered: %w", p.store.Cause()))
	}
	s.lg.InfoContext(ctx, "stopping")
	err := stages.stop()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// httpServer returns a server with the limits of all that listen. Requests that are
// for no path at all come to h, too: net/http would wait for their bodies for ever.
func (s *server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, WriteTimeout: writeTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.lg.Handler(), slog.LevelDebug), DisableGeneralOptionsHandler: true,
	}
}

// serve returns a stage that serves h until its context ends, and then finishes
// the requests under way, of which stop ends those that would go on for ever.
func (s *server) serve(l net.Listener, h http.Handler, stop func()) func(context.Context) error {
	return func(ctx context.Context) error {
		srv := s.httpServer(h)
		srv.RegisterOnShutdown(stop)
		done := make(chan error, 1)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { done <- srv.Serve(l) })
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
		defer cancel()
		if err := srv.Shutdown(end); err != nil {
			s.lg.WarnContext(ctx, "requests cut off", "err", err)
			return srv.Close()
		}
		return nil
	}
}

// stages are the running parts of a server. Each has a context of its own, so
// that they end one after another, last started first.
type stages struct {
	stops []func() error
}

// start runs f until stop. When f ends with an error by itself, fail is called.
func (s *stages) start(name string, fail func(error), f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := f(ctx)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			fail(err)
		}
		done <- err
	})
	s.stops = append(s.stops, func() error {
		cancel()
		wg.Wait()
		return <-done
	})
}

// stop ends every stage and returns their errors. Called again it does nothing.
func (s *stages) stop() error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i]())
	}
	s.stops = nil
	return errors.Join(errs...)
}
