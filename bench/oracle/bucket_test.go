package oracle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestBucketJudges puts objects as a server does that is right, or wrong in one way.
func TestBucketJudges(t *testing.T) {
	for _, c := range []struct {
		name string
		puts func(p *putter)
		want string // the only finding, without the receiver; "" for none
	}{
		{"right", func(p *putter) { p.put(1, 3, p.events(1, 2)); p.put(4, 4, p.events(3)) }, ""},
		{"again in another life", func(p *putter) { p.put(1, 1, p.events(1)); p.begin(2); p.want(412).put(1, 1, p.events(1)) }, ""},
		{"again after a lost answer", func(p *putter) {
			p.set(down)
			p.want(503).put(1, 1, p.events(1))
			p.set(healthy)
			p.want(0).put(1, 1, p.events(1)) // it is there, or not
		}, ""},
		{"a check", func(p *putter) { p.send(checkPrefix+"any", "*", p.events(1)); p.put(1, 1, p.events(1)) }, ""},
		{"again in the same life", func(p *putter) { p.put(1, 1, p.events(1)); p.want(412).put(1, 1, p.events(1)) }, "in the same life"},
		{"twice", func(p *putter) { p.put(1, 2, p.events(1, 2)); p.put(3, 4, p.events(3, 1)) }, "is in the bucket twice"},
		{"other events under a key", func(p *putter) { p.put(1, 2, p.events(1)); p.begin(2); p.want(412).put(1, 2, p.events(2)) }, "with other events than are in it"},
		{"objects out of order", func(p *putter) { p.put(4, 5, p.events(2)); p.put(1, 3, p.events(3)) }, "came after one that ends at 5"},
		{"events out of order", func(p *putter) { p.put(1, 2, p.events(2, 1)) }, "came first after event"},
		{"too many events", func(p *putter) { p.put(1, 1, p.events(1, 2)) }, "holds 2 events"},
		{"without a condition", func(p *putter) { p.send(p.key(1, 1), "", p.events(1)) }, "may replace another one"},
		{"another key", func(p *putter) { p.send("else/where.gz", "*", p.events(1)) }, "has the key else/where.gz"},
		{"changed bytes", func(p *putter) { p.put(1, 1, strings.Replace(p.events(1), "someone", "nobody!", 1)) }, "has changed bytes"},
		{"no lines", func(p *putter) { p.put(1, 1, strings.TrimSuffix(p.events(1), "\n")) }, "is not made of lines"},
		{"another stream's number", func(p *putter) {
			p.put(1, 1, p.events(1))
			p.receiver = newReceiver(p.spec, 1, p.books, p.findings, p.trace, p.bucket)
			p.Cleanup(p.close)
			p.begin(1)
			p.put(2, 2, p.events(2))
		}, "has the number of another stream"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPutter(t)
			c.puts(p)
			got, _ := p.findings.list()
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("findings: got %q, want one of %q", got, c.want)
			}
		})
	}
}

// putter puts objects of Git events.
type putter struct {
	*testing.T
	*receiver
	list   []number
	status int // that is expected of the next put; 0 for any
}

func newPutter(t *testing.T) *putter {
	t.Helper()
	b, f := newBooks(1), &findings{}
	tr, err := openTrace(t.TempDir() + "/requests")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	p := &putter{T: t, receiver: newReceiver(spec{Name: "s", Tenant: "alpha", Kind: kindS3}, 1, b, f, tr, newBucket()), status: http.StatusOK}
	t.Cleanup(p.close)
	p.begin(1)
	for _, n := range b.issue(0, false, 100) {
		if traits := b.maker.traits(n); traits.git {
			p.list = append(p.list, n)
		}
	}
	return p
}

func (p *putter) want(status int) *putter {
	p.status = status
	return p
}

func (p *putter) events(which ...int) string {
	var body []byte
	for _, i := range which {
		body = append(p.books.maker.appendEvent(body, p.list[i], ownID(p.list[i]), false), '\n')
	}
	return string(body)
}

func (p *putter) key(first, last int) string {
	return fmt.Sprintf("%s/2026/01/31/12/00/%032x-7-git-%020d-%020d.json.log.gz", bucketPrefix, 1, first, last)
}

func (p *putter) put(first, last int, events string) { p.send(p.key(first, last), "*", events) }

func (p *putter) send(key, condition, events string) {
	p.T.Helper()
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	_, _ = zip.Write([]byte(events)) // neither fails: it is memory
	_ = zip.Close()
	sum := sha256.Sum256(body.Bytes())
	req, err := http.NewRequestWithContext(p.Context(), http.MethodPut, p.server.URL+"/"+bucketName+"/"+key, &body)
	if err != nil {
		p.Fatal(err)
	}
	req.Header.Set("If-None-Match", condition)
	req.Header.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	if p.status != 0 && resp.StatusCode != p.status {
		p.Errorf("put %s: got status %d, want %d", key, resp.StatusCode, p.status)
	}
	p.status = http.StatusOK
}
