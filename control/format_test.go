package control_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

func TestPrintedValuesHoldNoSecrets(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		made := create(t, w)
		synctest.Wait()
		w.Post("acme", "user.add", 1)
		synctest.Wait()
		s := spec()
		_, secrets := w.Kind.Opened()
		patch := control.StreamPatch{Config: s.Config, Secrets: s.Secrets}
		for name, v := range map[string]any{
			"a stream": made, "a specification": s, "a patch": patch, "secrets": secrets,
			"pointers": []any{&made, &s, &patch, &secrets},
		} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
				text := fmt.Sprintf(verb, v)
				for _, hidden := range []string{theSigningSecret, thePassword, theHeaderValue, made.VerificationToken} {
					if strings.Contains(text, hidden) {
						t.Errorf("%s printed with %s shows %q", name, verb, hidden)
					}
				}
			}
		}
	})
}
