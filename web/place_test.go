package web_test

import (
	"strings"
	"testing"

	"github.com/sluicelog/sluice/web"
	"github.com/sluicelog/sluice/web/label"
)

// Places are found by a part of their name, by those who have a role there.
func TestPlaces(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.get(200, "/-/?q=CM", label.English().SearchOrGoTo, `href="/-/groups/acme/audit-log"`)
		b.lacks(b.get(200, "/-/?q=CM"), "Umbra", "This installation")
		b.get(200, "/-/?q=nothing", "None of yours has")
		b.get(303, "/-/groups/ACME")
		for _, path := range []string{"/-/groups/nowhere", "/-/groups/acme%2Fweb", "/-/instance", "/-/groups/nowhere/audit-log"} {
			b.get(404, path)
		}
		mona := b.another()
		mona.signIn("mona")
		mona.get(200, "/-/", "This installation", "acme", "Umbra")
		mona.get(303, "/-/instance")
	})
}

// lacks wants a page that has none of the texts.
func (b *browser) lacks(p page, texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if strings.Contains(p.html, text) {
			b.t.Errorf("the page has %q: %s", text, p.html)
		}
	}
}
