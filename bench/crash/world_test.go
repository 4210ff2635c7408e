package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/failpoint"
)

// world is a server, its receivers, and what is known of both without asking.
type world struct {
	*testing.T
	*server
	death    string // what SLUICE_FAILPOINT says, once
	armed    bool   // the life that dies has begun
	died     bool
	admin    *client.Client
	producer *client.Client
	book     *book
	streams  []*stream // the first takes everything
}

// newWorld makes a world whose server will die at an arrival.
func newWorld(t *testing.T, binary string, p failpoint.Point, arrival int, flags []string) *world {
	t.Helper()
	w := &world{T: t, server: newServer(t, binary, flags), death: fmt.Sprintf("%s:%d", p, arrival), book: newBook()}
	w.admin, w.producer = w.client(t, adminToken), w.client(t, producerToken)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said:\n%s", w.words(0))
		}
	})
	return w
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
	death := ""
	if w.armed && !w.died {
		death = w.death
	}
	if err := w.launch(w.Context(), death); err != nil {
		w.Fatal(err)
	}
	for begin := time.Now(); ; {
		switch err := w.admin.Ready(w.Context()); {
		case err == nil:
			return
		case w.process.Ended():
			w.buried("while it started")
			w.start()
			return
		case time.Since(begin) > patience:
			w.Fatalf("the server was not ready within %v: %v", patience, err)
		}
		time.Sleep(pollEvery)
	}
}

// buried notes that the process has ended. It may do so once.
func (w *world) buried(when string) {
	w.Helper()
	_ = w.process.Kill() // it has ended
	w.process = nil
	if !w.armed || w.died {
		w.Fatalf("the server ended by itself %s", when)
	}
	w.died = true
}

// stop ends the process as an operator would. It may die on the way.
func (w *world) stop() {
	w.Helper()
	if w.process.Ended() {
		w.buried("before it was stopped")
		return
	}
	if err := w.process.Stop(); err != nil {
		w.Error(err)
	}
	w.process = nil
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
		if w.process.Ended() {
			w.buried("when asked to " + what)
			w.start()
			continue
		}
		if w.refused(err) || time.Since(begin) > patience {
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
		_, err := w.admin.CreateToken(ctx, client.TokenSpec{Kind: client.Producer, Name: name, Token: text})
		return err
	})
}

// tokenNamed returns the id of a token, "" when there is none of that name.
func (w *world) tokenNamed(ctx context.Context, name string) (client.TokenID, error) {
	list, err := w.admin.Tokens(ctx)
	for _, t := range list {
		if t.Name == name {
			return t.ID, nil
		}
	}
	return "", err
}
