package web_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// FuzzStreamForm posts forms of streams as they come, of every kind, for a new stream
// and for one that is there. None may fail as the server's own error, and what is
// shown is a page.
func FuzzStreamForm(f *testing.F) {
	for i, form := range []string{
		"name=a&config.url=https%3A%2F%2Fa.example&header=n1&header.n1.name=X&header.n1.value=y&do=check", "do=add-header&header=s1&header=n2", "do=count&types=a&types.others=b%0Ac&excluded=d&namespaces=acme%2Fweb",
		"config.domain=splunk.example&config.port=x&secrets.token=abcd&version=1", "do=save&start=time&start_at=2026-13-41T25%3A00&until=99", "do=delete-header%3An1&version=18446744073709551616", "do=search%3Atypes&types.search=%22", "%zz",
	} {
		f.Add(uint8(i), i%2 == 0, form)
	}
	f.Fuzz(func(t *testing.T, kind uint8, fresh bool, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
			target := tabPath + "/new?kind=" + kindNames()[int(kind)%len(kindNames())]
			if !fresh {
				b.httpStream(control.StreamSpec{Name: "there"})
				target = tabPath + "/1"
			}
			if p := b.do("POST", target, values); p.Code == 500 || p.Code == 200 && !strings.Contains(p.html, "</html>") {
				t.Errorf("%q to %s: got status %d with %.300s", form, target, p.Code, p.html)
			}
		})
	})
}

func kindNames() []string { return []string{"http", "splunk", "eventhubs", "s3", "cloudlogging"} }
