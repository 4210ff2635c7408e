// Package receiver holds what the destinations of the benchmark deliver to when
// they are not HTTP endpoints, each in a process of its own as the sink is:
//
//   - a collector of HTTP events as lean as the sink, over TLS, and a Google Cloud
//     Logging that grants every token; both keep the requests in a file;
//   - a real S3 server over a folder;
//   - an AMQP broker in Python, which counts events and does not tell them apart.
//
// All but the last unpack what came and count the events in it when somebody asks,
// which takes longer than to receive it: ask when the measuring is over.
package receiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicelog/sluice/bench/sink"
)

// Names of receivers.
const (
	Collector = "collector"
	Google    = "google"
	Bucket    = "bucket"
	Hub       = "hub"
)

// Paths under which the receivers count. The collector and Google count under
// those of the requests.
const (
	CollectorPath = "/services/collector/event"
	GooglePath    = "/v2/entries:write"
	BucketPath    = "/bucket"
	HubPath       = "/hub"
)

// Run runs the receiver of that name until ctx ends. It writes two lines to out:
// the address where GET /stats is answered as a [sink.Sink] does, and the address
// to deliver to. The absent folder dir is the receiver's.
func Run(ctx context.Context, name, dir string, out io.Writer) error {
	switch name {
	case Collector:
		return collect(ctx, dir, out)
	case Google:
		return google(ctx, dir, out)
	case Bucket:
		return keep(ctx, dir, out)
	case Hub:
		return broke(ctx, out)
	}
	return fmt.Errorf("receive: no receiver is called %q", name)
}

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// serveStats answers with what stats returns until ctx ends. It writes its own
// address and the one to deliver to.
func serveStats(ctx context.Context, out io.Writer, at string, stats func(ctx context.Context, upto uint64) (sink.Stats, error)) error {
	ln, err := listen()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		upto, _ := strconv.ParseUint(r.URL.Query().Get("upto"), 10, 64)
		s, err := stats(r.Context(), upto)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(s) // who asked may be gone
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	fmt.Fprintf(out, "%s\n%s\n", ln.Addr(), at)
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveSink serves s on a plain listener, and on the other one when there is one.
// What comes is kept in a file in dir.
func serveSink(ctx context.Context, dir string, out io.Writer, s *sink.Sink, other net.Listener) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if s.Spool, err = os.Create(filepath.Join(dir, "requests")); err != nil {
		return err
	}
	defer s.Spool.Close()
	plain, err := listen()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	at := plain.Addr()
	if other != nil {
		at = other.Addr()
		g.Go(func() error { return s.Serve(ctx, other) })
	}
	fmt.Fprintf(out, "%s\n%s\n", plain.Addr(), at)
	g.Go(func() error { return s.Serve(ctx, plain) })
	return g.Wait()
}
