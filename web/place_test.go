package web_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

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

// The names of namespaces come from those who post events: they turn no text, and
// stand in no command.
func TestPlaceWithOddName(t *testing.T) {
	const odd = "\u202egpj$(id)"
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.Post(odd, "x", 1)
		synctest.Wait()
		b.signIn("mona")
		root := "/-/groups/" + url.PathEscape(odd)
		for path, text := range map[string]string{"/-/": `href="` + root + `/audit-log"`, root + "/tokens": `"entity_path":"NAMESPACE/web"`, root + "/members": "\ufffdgpj$(id)"} {
			b.lacks(b.get(200, path, text), "\u202e", "$(id)/web")
		}
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
