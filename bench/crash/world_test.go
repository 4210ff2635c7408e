package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/failpoint"
)

// world is a server, its receivers, and what is known of both without asking.
type world struct {
	*testing.T
	*server.Server
	death    string // what SLUICE_FAILPOINT says, once
	armed    bool   // the life that dies has begun
	died     bool
	producer *client.Client
	book     *book
	streams  []*stream // the first takes everything
}

// newWorld makes a world whose server will die at an arrival.
func newWorld(t *testing.T, binary string, p failpoint.Point, arrival int, flags []string) *world {
	t.Helper()
	dir := t.TempDir()
	s, err := server.New(server.Config{Binary: binary, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "server.log"), Args: flags})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, Server: s, death: fmt.Sprintf("%s:%d", p, arrival), book: newBook()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said:\n%s", s.Log())
		}
		_ = s.Close() // it is over
	})
	w.producer = w.client(producerToken)
	return w
}

func (w *world) client(token string) *client.Client {
	w.Helper()
	c, err := w.Client(token)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.Close)
	return c
}

// begin starts the server, a token and the first stream.
func (w *world) begin() {
	w.Helper()
	w.start()
	w.token("producer", producerToken)
	w.create(w.http("everything", ""))
	w.post(post{count: 20})
}

// arm makes the next start the one of the life that dies.
func (w *world) arm() { w.armed = true }

// start starts the server and waits until it is ready. In the life that dies it
// may die before that.
func (w *world) start() {
	w.Helper()
	var env []string
	if w.armed && !w.died {
		env = []string{"SLUICE_FAILPOINT=" + w.death}
	}
	switch err := w.Server.Start(w.Context(), env...); {
	case errors.Is(err, server.ErrEnded):
		w.buried("while it started")
		w.start()
	case err != nil:
		w.Fatal(err)
	}
}

// buried notes that the process has ended. It may do so once.
func (w *world) buried(when string) {
	w.Helper()
	_ = w.Kill() // it has ended
	if !w.armed || w.died {
		w.Fatalf("the server ended by itself %s", when)
	}
	w.died = true
}

// stop ends the process as an operator would. It may die on the way.
func (w *world) stop() {
	w.Helper()
	if w.Ended() {
		w.buried("before it was stopped")
		return
	}
	if err := w.Stop(); err != nil {
		w.Error(err)
	}
	switch ok, killed := w.InOrder(); {
	case ok:
	case killed && w.armed && !w.died:
		w.died = true
	default:
		w.Error("the server did not end in order when it was stopped")
	}
}

// do tries until there is an answer: a server that has died is started again.
func (w *world) do(what string, try func(context.Context) error) {
	w.Helper()
	for begin := time.Now(); ; {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		err := try(ctx)
		cancel()
		if err == nil {
			return
		}
		if w.Ended() {
			w.buried("when asked to " + what)
			w.start()
			continue
		}
		if w.refused(err) || time.Since(begin) > 2*patience { // await gives up before
			w.Fatalf("cannot %s: %v", what, err)
		}
		time.Sleep(pollEvery)
	}
}

// refused reports whether an answer is final. After a crash a name may be claimed
// for a while by what was never made.
func (w *world) refused(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Status/100 == 4 && e.Status != http.StatusTooManyRequests && (e.Status != http.StatusConflict || !w.died)
}

// token makes a producer's token of a text of ours.
func (w *world) token(name, text string) {
	w.Helper()
	w.do("make a token", func(ctx context.Context) error {
		if id, err := w.tokenNamed(ctx, name); err != nil || id != "" {
			return err
		}
		_, err := w.Admin.CreateToken(ctx, client.TokenSpec{Kind: client.Producer, Name: name, Token: text})
		return err
	})
}

// tokenNamed returns the id of a token, "" when there is none of that name.
func (w *world) tokenNamed(ctx context.Context, name string) (client.TokenID, error) {
	list, err := w.Admin.Tokens(ctx)
	for _, t := range list {
		if t.Name == name {
			return t.ID, nil
		}
	}
	return "", err
}
