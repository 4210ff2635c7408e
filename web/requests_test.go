package web_test

import (
	"testing"
	"time"

	"github.com/sluicelog/sluice/quota"
	"github.com/sluicelog/sluice/web"
)

// A session's pages are counted with its other requests. Who has asked for too many
// is told when to come back, and can sign out meanwhile.
func TestTooManyPages(t *testing.T) {
	requests := quota.New(3, nil)
	simulate(t, web.Config{Requests: requests}, func(t *testing.T, b *browser) {
		other := b.another()
		b.signIn("jane")
		by, err := b.session()
		if err != nil {
			t.Fatal(err)
		}
		requests.Take(by.Key())
		b.get(200, "/-/")
		b.get(200, "/-/groups/acme/log-streaming")
		if got := b.get(429, "/-/groups/acme/log-streaming", "used up").Header().Get("Retry-After"); got != "60" {
			t.Errorf("got Retry-After %q, want 60", got)
		}
		other.signIn("jane")
		other.get(200, "/-/")
		time.Sleep(time.Minute)
		b.get(200, "/-/")
		for range 3 {
			b.do("GET", "/-/", nil)
		}
		b.follows(b.do("POST", "/-/sign_out", values()), "/-/sign_in?notice=signed_out")
	})
}
