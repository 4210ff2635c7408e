package web_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/net/html"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging"
	"github.com/sluicelog/sluice/destination/eventhubs"
	"github.com/sluicelog/sluice/destination/s3"
	"github.com/sluicelog/sluice/destination/splunk"
	"github.com/sluicelog/sluice/destination/webhook"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/web"
)

// sunk is a kind as it is, but that its events go to the sink of the tests.
type sunk struct {
	destination.Kind
	sink *controltest.Kind
}

func (k sunk) Form() destination.Form { return k.Kind.(destination.Described).Form() }

// BearerSecrets, NewReceiver and Hosts are those of the kind.
func (k sunk) BearerSecrets() []string {
	if b, ok := k.Kind.(destination.Bearing); ok {
		return b.BearerSecrets()
	}
	return nil
}

func (k sunk) NewReceiver(before, after json.RawMessage) bool {
	b, ok := k.Kind.(destination.Bearing)
	return ok && b.NewReceiver(before, after)
}

func (k sunk) Hosts(config json.RawMessage) []string {
	if h, ok := k.Kind.(destination.Hosted); ok {
		return h.Hosts(config)
	}
	return nil
}

func (k sunk) Open(_ json.RawMessage, secrets destination.Secrets, env destination.Env) (destination.Destination, error) {
	return k.sink.Open(json.RawMessage(`{"host":"sink.example"}`), secrets, env)
}

// simulateStreams runs f against a site with all kinds of destinations and a
// search index; jane is signed in, and the administrator's sink is at hand.
func simulateStreams(t *testing.T, f func(t *testing.T, b *browser, sink *controltest.Kind)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sink := &controltest.Kind{}
		var s *search.Service
		w := controltest.New(t, func(c *control.Config) {
			s = search.New(search.Config{Log: c.Log, Engine: index.NewMemory()})
			c.Search, c.Kinds = s, nil
			for _, k := range []destination.Kind{splunk.Kind{}, eventhubs.Kind{}, s3.Kind{}, cloudlogging.Kind{}, webhook.Kind{}} {
				c.Kinds = append(c.Kinds, sunk{k, sink})
			}
		})
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		b := (&browser{World: w, t: t, site: web.New(web.Config{Service: w.Service, Logger: w.Logger()}), secrets: []string{password, w.AdminToken}}).another()
		b.people(map[string]map[string]control.Role{"jane": {"acme": control.Owner, "umbra": control.Owner}, "ann": {"acme": control.Auditor}, "eve": {"initech": control.Owner}})
		b.signIn("jane")
		f(t, b, sink)
		synctest.Wait()
		for _, text := range b.secrets {
			if strings.Contains(w.Logs(), text) {
				t.Errorf("the log holds the secret %s", text)
			}
		}
		stop()
		wg.Wait()
		w.Stop()
	})
}

// people makes users with their roles.
func (b *browser) people(roles map[string]map[string]control.Role) {
	b.t.Helper()
	for name, list := range roles {
		if _, err := b.Service.CreateUser(b.t.Context(), b.Admin, control.UserSpec{Name: name, Password: password}); err != nil {
			b.t.Fatal(err)
		}
		for namespace, role := range list {
			if _, err := b.Service.SetMember(b.t.Context(), b.Admin, control.MemberSpec{Namespace: namespace, User: name, Role: role}); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// form returns what a browser would send of the form of a page that is posted to
// an address and has fields.
func (p page) form(t *testing.T, action string) url.Values {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.html))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data == "form" && attr(n, "action") == action {
			return fieldsOf(n)
		}
	}
	t.Fatalf("the page has no form for %s: %s", action, p.html)
	return nil
}

// enters returns what Enter sends in a field of a form: the value of its first
// button.
func (p page) enters(t *testing.T, action string) string {
	t.Helper()
	form := p.html[strings.Index(p.html, `action="`+action+`"`):]
	m := regexp.MustCompile(`<button type="submit" name="do" value="([^"]*)"`).FindStringSubmatch(form)
	if m == nil {
		t.Fatalf("the form has no button: %s", form)
	}
	return m[1]
}

func fieldsOf(form *html.Node) url.Values {
	out := url.Values{}
	for n := range form.Descendants() {
		name := attr(n, "name")
		switch {
		case name == "" || n.Type != html.ElementNode:
		case n.Data == "input" && attr(n, "type") == "checkbox":
			if has(n, "checked") {
				out.Add(name, attr(n, "value"))
			}
		case n.Data == "input":
			out.Add(name, attr(n, "value"))
		case n.Data == "textarea":
			out.Add(name, textOf(n))
		case n.Data == "select":
			for o := range n.Descendants() {
				if has(o, "selected") {
					out.Set(name, attr(o, "value"))
				}
			}
		}
	}
	return out
}

// with returns a form with other values: names and values in turn; "-" takes a
// field away.
func with(form url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, list := range form {
		out[name] = append([]string(nil), list...)
	}
	for i := 0; i < len(pairs); i += 2 {
		if out.Set(pairs[i], pairs[i+1]); pairs[i+1] == "-" {
			out.Del(pairs[i])
		}
	}
	return out
}

const tabPath = "/-/groups/acme/log-streaming"

func (b *browser) stream(id sluice.StreamID) control.Stream {
	b.t.Helper()
	st, err := b.Service.Stream(b.t.Context(), b.Admin, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

// httpStream makes a stream of acme and returns it.
func (b *browser) httpStream(spec control.StreamSpec) control.Stream {
	b.t.Helper()
	spec.Kind = "http"
	if spec.Namespace == "" {
		spec.Namespace = "acme"
	}
	if spec.Config == nil {
		spec.Config = json.RawMessage(`{"url":"https://siem.example.com/events"}`)
	}
	st, err := b.Service.CreateStream(b.t.Context(), b.Admin, spec)
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

// privateKey makes a key as service accounts have.
func privateKey() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
