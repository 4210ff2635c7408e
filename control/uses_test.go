package control_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// The last use of a token of any kind is shown at once and stored once an hour at
// most, and no request waits for it.
func TestLastUse(t *testing.T) {
	authenticate := func(w *controltest.World, text string) error {
		_, err := w.Service.Authenticate(context.Background(), text)
		return err
	}
	post := func(w *controltest.World, text string) error {
		_, err := w.Service.Producer(context.Background(), text)
		return err
	}
	for _, c := range []struct {
		name, kind string
		use        func(w *controltest.World, text string) error
	}{
		{"personal", control.KindPersonal, authenticate},
		{"administrator", control.KindAdmin, authenticate},
		{"administrator that posts", control.KindAdmin, post},
		{"producer", control.KindProducer, post},
		{"producer that asks who it is", control.KindProducer, authenticate},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, nil, func(t *testing.T, w *controltest.World) {
				spec := control.TokenSpec{Kind: c.kind}
				if c.kind == control.KindPersonal {
					addUser(t, w, "jane", "acme", control.Auditor)
					spec.User, spec.Scopes = "jane", []string{"read:audit_log"}
				}
				made, err := w.Service.CreateToken(t.Context(), w.Admin, spec)
				if err != nil {
					t.Fatal(err)
				}
				checkLastUse(t, w, made.ID, func() error { return c.use(w, made.Text) })
			})
		})
	}
}

// checkLastUse has a new token used, and looks at what is shown and stored.
func checkLastUse(t *testing.T, w *controltest.World, id string, come func() error) {
	if got := lastUse(t, w, id); got != nil {
		t.Errorf("a new token: got %v, want no use", got)
	}
	use := func() (stored string) {
		t.Helper()
		if err := come(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := lastUse(t, w, id); got == nil || !got.Equal(time.Now()) {
			t.Errorf("the last use: got %v, want now, %v", got, time.Now())
		}
		return tokenLines(w.Records())
	}
	first := use()
	time.Sleep(59 * time.Minute)
	if use() != first {
		t.Error("after 59 minutes: the last use is stored again")
	}
	time.Sleep(time.Minute)
	if use() == first {
		t.Error("after an hour: the last use is not stored")
	}
	at := time.Now()
	w.Restart()
	if got := lastUse(t, w, id); got == nil || !got.Equal(at) {
		t.Errorf("after a restart: got %v, want %v", got, at)
	}
}

func lastUse(t *testing.T, w *controltest.World, id string) *time.Time {
	t.Helper()
	list, err := w.Service.Tokens(context.Background(), w.Admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range list {
		if token.ID == id {
			return token.LastUsedAt
		}
	}
	t.Fatalf("there is no token %s", id)
	return nil
}

func tokenLines(records string) string {
	var out []string
	for line := range strings.Lines(records) {
		if strings.HasPrefix(line, "token/") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// Thousands of tokens that are used at once have their uses stored, too.
func TestManyLastUses(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		const many = 300
		texts := map[string]string{}
		for range many {
			made, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Namespace: "acme"})
			if err != nil {
				t.Fatal(err)
			}
			texts[made.ID] = made.Text
		}
		for _, text := range texts {
			if _, err := w.Service.Producer(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		w.Restart()
		for id := range texts {
			if lastUse(t, w, id) == nil {
				t.Fatalf("%s: the use is not stored", id)
			}
		}
	})
}
