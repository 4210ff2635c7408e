package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// book is what was posted, by id.
type book struct {
	mu     sync.Mutex // held by who adds, and by receivers
	events map[string]event
}

type event struct {
	number  int
	top     string // namespace
	payload string
	git     bool
	bad     bool // some receivers refuse it
}

func newBook() *book { return &book{events: map[string]event{}} }

// post is events that are posted together.
type post struct {
	count     int
	namespace string // "acme" by default
	size      int    // bytes of text that no compression makes smaller
	bad       int    // how many in the middle are bad
	audit     bool   // no Git events
}

// badMark stands in events that receivers refuse.
const badMark = `"refuse":true`

// ownTypes begin the types of what Sluice may write about itself here.
const ownTypes = "stream. token. user. namespace. secrets. quarantine. installation."

// make makes the events of a post and returns its body.
func (b *book) make(p post) []byte {
	if p.namespace == "" {
		p.namespace = "acme"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var body []byte
	for i := range p.count {
		n := len(b.events)
		e := event{number: n, git: n%2 == 1 && !p.audit, top: strings.Split(p.namespace, "/")[0], bad: i >= p.count/2 && i < p.count/2+p.bad}
		kind, mark, text := "user.add", "", make([]byte, p.size*3/4)
		if e.git {
			kind = "git.push"
		}
		if e.bad {
			mark = badMark + ","
		}
		rand.Read(text) // never fails, see its documentation
		id := fmt.Sprintf("crash-%d", n)
		e.payload = fmt.Sprintf(`{"id":%q,"event_type":%q,"entity_path":%q,"author_name":"someone","created_at":"2026-01-31T12:00:00.%03dZ",%s"text":"é 漢 \u0062 <&> %s"}`,
			id, kind, p.namespace, n%1000, mark, base64.StdEncoding.EncodeToString(text))
		b.events[id] = e
		body = append(append(body, e.payload...), '\n')
	}
	return body
}

// check says what is wrong with an event that came to a receiver, "" for nothing.
// own reports whether Sluice wrote it.
func (b *book) check(payload []byte) (id string, e event, own bool, wrong string) {
	var head struct {
		ID   string `json:"id"`
		Type string `json:"event_type"`
	}
	if err := json.Unmarshal(payload, &head); err != nil || head.ID == "" {
		return "", e, false, fmt.Sprintf("got what is no event: %.200q", payload)
	}
	b.mu.Lock()
	e, posted := b.events[head.ID]
	b.mu.Unlock()
	kind, _, _ := strings.Cut(head.Type, ".")
	switch {
	case posted && e.payload != string(payload):
		return head.ID, e, false, fmt.Sprintf("event %s has changed bytes: got %.300q, want %.300q", head.ID, payload, e.payload)
	case !posted && !strings.Contains(ownTypes, kind+"."):
		return head.ID, e, false, fmt.Sprintf("got what nobody posted: %.300q", payload)
	}
	return head.ID, e, !posted, ""
}

// post posts events until they are acknowledged.
func (w *world) post(p post) {
	w.Helper()
	body := w.book.make(p)
	attempts := 0
	w.do("post", func(ctx context.Context) error {
		attempts++
		got, err := w.producer.PostEvents(ctx, body, "")
		if err == nil && (got.Accepted+got.Duplicates != p.count || attempts == 1 && got.Duplicates > 0) {
			w.Errorf("a post of %d events, attempt %d: got %d accepted and %d duplicates", p.count, attempts, got.Accepted, got.Duplicates)
		}
		return err
	})
}

// postMeanwhile posts one event after another until stop is called, whatever
// becomes of the server.
func (w *world) postMeanwhile() (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			body := w.book.make(post{count: 1})
			for {
				_, err := w.producer.PostEvents(w.Context(), body, "")
				if err == nil || w.Context().Err() != nil {
					break
				}
				time.Sleep(pollEvery)
			}
		}
	})
	w.Cleanup(cancel)
	return func() {
		cancel()
		w.do("answer every post", func(context.Context) error {
			if w.Ended() {
				return notYetf("it has died")
			}
			return nil
		})
		wg.Wait()
	}
}

// lines takes a body apart.
func lines(body []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(body, []byte{'\n'}), []byte{'\n'})
}
