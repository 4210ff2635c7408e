//go:build linux && amd64

package clock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/destination/s3/s3test"
)

// person is a user of the server.
const (
	person   = "ada"
	password = "a long enough password"
	bucket   = "clock"
)

// world is a server with a clock, two streams and a user.
type world struct {
	t        *testing.T
	clock    *Clock
	server   *drill.Server
	producer *drill.Producer
	receiver *drill.Receiver
	objects  *s3test.Server
	archive  sluice.StreamID
	found    []string
}

func (w *world) find(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

// TestADayAhead sets the clock a day ahead and back once, and looks at everything
// that a wrong time could spoil: retention, the backoff of a stream, sessions and
// tokens, delays of those who guess passwords, and the keys of objects.
func TestADayAhead(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	fault.Keep(t, w.record)
	w.begin(made.Binary(t))
	w.play()
	for _, f := range w.found {
		t.Error(f)
	}
}

func (w *world) record() fault.Record {
	return fault.Record{
		Drill:    "A day ahead",
		What:     "The clock is set a day ahead and back, once: retention has to stop and go on, a stream to try again, sessions and tokens to end in time, people not to be kept out, and objects to have sane keys.",
		Command:  "go test ./bench/clock -run TestADayAhead",
		Faults:   []fault.Count{{Name: "jumps", Count: 4}},
		Judged:   []fault.Count{{Name: "events", Count: int64(w.producer.Acked())}},
		Findings: w.found,
	}
}

// begin starts the server and makes the streams.
func (w *world) begin(binary string) {
	t := w.t
	t.Helper()
	w.clock, w.receiver, w.objects = newClock(t), drill.NewReceiver(t, "clock"), s3test.Run(t)
	w.server = drill.NewServer(t, binary, "--retention-audit", "1h", "--retention-git", "1h", "--retention-bytes-audit", "8MiB")
	w.server.Env = append(w.server.Env, w.clock.Env())
	w.server.Start()
	w.producer = drill.NewProducer(t, w.server)
	w.receiver.Create(w.server, client.StreamSpec{Namespace: drill.Namespace}, nil)
	if err := w.objects.MakeBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	made, err := w.server.Admin.CreateStream(t.Context(), client.StreamSpec{Namespace: drill.Namespace, Name: "archive", Kind: "s3",
		Config: fmt.Appendf(nil, `{"bucket":%q,"region":%q,"access_key_id":%q,"endpoint":%q,"object_seconds":1}`,
			bucket, s3test.Region, w.objects.AccessKeyID, w.objects.URL),
		Secrets: map[string]string{"secret_access_key": w.objects.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	w.archive = made.ID
}

// play is the whole drill.
func (w *world) play() {
	t, ctx := w.t, w.t.Context()
	if _, err := w.server.Admin.CreateUser(ctx, client.UserSpec{Name: person, Password: password, Administrator: true}); err != nil {
		t.Fatal(err)
	}
	early := w.signIn(password)
	token := w.token(w.clock.Now().Add(2 * time.Hour))
	w.fill(9000) // more than a segment
	w.archived() // a stream that is behind is entitled to its events
	w.receiver.Set(drill.Mode{Status: http.StatusServiceUnavailable})
	w.producer.Post(ctx, 10)
	w.failing()

	w.clock.Set(day)
	w.stopped(true, w.signIn(password))
	w.receiver.Set(drill.Mode{}) // its next try is due within seconds, not tomorrow
	w.fill(19_000)
	server.Pause(ctx, time.Second) // ten looks of retention
	w.kept()
	w.valid("a session of yesterday", early, false)
	w.allowed("a token that ended yesterday", token, false)
	late := w.signIn(password)
	lasting := w.token(w.clock.Now().Add(2 * time.Hour))
	for range 6 {
		if w.signIn("a wrong password") != nil {
			w.find("signed in with a wrong password")
		}
	}
	w.receiver.Set(drill.Mode{Status: http.StatusServiceUnavailable})
	w.producer.Post(ctx, 10)
	w.failing()

	w.clock.Set(0)
	w.stopped(false, late)
	w.receiver.Set(drill.Mode{})
	w.fill(1000)
	w.archived() // it was held, and entitled to everything
	w.trimmed()
	w.valid("a session of the day ahead", late, true)
	w.allowed("a token made on the day ahead", lasting, true)
	drill.Await(t, "the person to sign in again", func(context.Context) error {
		if w.signIn(password) == nil {
			return errors.New("refused")
		}
		return nil
	})

	w.clock.Set(day + 13*time.Hour)
	w.valid("a session that has been idle", late, false)
	w.allowed("a token after its end", lasting, false)
	w.clock.Set(0)
	w.settled()
}

// fill posts events and waits until the stream has them.
func (w *world) fill(count int) {
	w.t.Helper()
	w.producer.Post(w.t.Context(), count)
	w.settled()
}

// settled waits until the stream has everything, and looks at its ledger.
func (w *world) settled() {
	w.t.Helper()
	drill.Await(w.t, "everything to be delivered", func(ctx context.Context) error {
		s, err := w.server.Admin.Stream(ctx, w.receiver.ID)
		if err != nil {
			return err
		}
		if s.Ledger.Pending > 0 || w.receiver.Held().Events < w.producer.Acked() {
			return fmt.Errorf("%v, %+v", s.Ledger, w.receiver.Held())
		}
		if s.Ledger.Expired > 0 || !s.Ledger.Balanced() {
			w.find("the ledger is wrong: %+v", s.Ledger)
		}
		return nil
	})
	w.found = append(w.found, w.receiver.Wrong()...)
	w.found = append(w.found, w.producer.Wrong()...)
}

// failing waits until the stream waits for its next try.
func (w *world) failing() {
	w.t.Helper()
	drill.Await(w.t, "the stream to fail", func(ctx context.Context) error {
		s, err := w.server.Admin.Stream(ctx, w.receiver.ID)
		if err == nil && s.Status != sluice.StatusFailing {
			err = fmt.Errorf("it is %s", s.Status)
		}
		return err
	})
}

// stopped waits until retention stopped or went on, and the log and the page say so.
func (w *world) stopped(want bool, session *http.Cookie) {
	w.t.Helper()
	words, number := "retention goes on", 0.0
	if want {
		words, number = "retention stopped", 1
	}
	drill.Await(w.t, words, func(ctx context.Context) error {
		got, err := w.server.Metric(ctx, "sluice_retention_stopped")
		if err == nil && got != number {
			err = fmt.Errorf("sluice_retention_stopped is %v", got)
		}
		if err == nil && !bytes.Contains(w.server.LifeLog(), []byte(words)) {
			err = fmt.Errorf("the log does not say %q", words)
		}
		return err
	})
	page := w.page("/-/instance/system", session)
	if got := strings.Contains(page, "Retention has stopped"); got != want {
		w.find("that retention has stopped is on the page: %v, want %v: %.200s", got, want, page)
	}
}

// first returns the number of the oldest audit event.
func (w *world) first(ctx context.Context) (float64, error) {
	return w.server.Metric(ctx, `sluice_log_first_seq{partition="audit"}`)
}

// kept looks whether retention has removed nothing.
func (w *world) kept() {
	w.t.Helper()
	if first, err := w.first(w.t.Context()); err != nil || first != 1 {
		w.find("retention removed events when the clock jumped: the first is %v (%v)", first, err)
	}
}

// trimmed waits until retention removes what is too much.
func (w *world) trimmed() {
	w.t.Helper()
	drill.Await(w.t, "retention to go on", func(ctx context.Context) error {
		first, err := w.first(ctx)
		if err == nil && first == 1 {
			size, _ := w.server.Metric(ctx, `sluice_log_disk_bytes{partition="audit"}`)
			err = fmt.Errorf("nothing was removed of %v bytes", size)
		}
		return err
	})
}

// token makes a personal token that ends at a time.
func (w *world) token(end time.Time) string {
	w.t.Helper()
	made, err := w.server.Admin.CreateToken(w.t.Context(), client.TokenSpec{Kind: client.Personal, User: person, Name: end.Format(time.RFC3339), Scopes: []string{"read_api"}, ExpiresAt: end.UTC().Format(time.RFC3339)})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.Token
}

// allowed looks whether a token is taken.
func (w *world) allowed(what, token string, want bool) {
	w.t.Helper()
	_, err := w.server.Client(token).Me(w.t.Context())
	if got := err == nil; got != want {
		w.find("%s is taken: %v, want %v (%v)", what, got, want, err)
	}
}

// signIn signs the person in and returns the session's cookie, nil when it is
// refused.
func (w *world) signIn(password string) *http.Cookie {
	w.t.Helper()
	plain := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := plain.PostForm(w.server.URL()+"/-/sign_in", url.Values{"name": {person}, "password": {password}})
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if list := resp.Cookies(); resp.StatusCode == http.StatusSeeOther && len(list) > 0 {
		return list[0]
	}
	return nil
}

// page returns a page as the person sees it, "" when it leads to signing in.
func (w *world) page(path string, session *http.Cookie) string {
	w.t.Helper()
	if session == nil {
		w.t.Fatal("cannot sign in")
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL()+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.AddCookie(session)
	plain := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := plain.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return ""
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		w.t.Fatal(err)
	}
	return body.String()
}

// valid looks whether a session is one.
func (w *world) valid(what string, session *http.Cookie, want bool) {
	w.t.Helper()
	if got := w.page("/-/instance/system", session) != ""; got != want {
		w.find("%s is valid: %v, want %v", what, got, want)
	}
}

// keyForm is the key of an object: the minute of acceptance, log, stream,
// partition and range.
var keyForm = regexp.MustCompile(`^(\d{4}/\d\d/\d\d/\d\d/\d\d)/[^/]+-(audit|git)-(\d+)-(\d+)\.json\.log\.gz$`)

// archived waits until the bucket has everything, and looks at the keys: each
// number once, and no time that neither clock had.
func (w *world) archived() {
	w.t.Helper()
	if _, err := w.server.Admin.RetryStream(w.t.Context(), w.archive); err != nil {
		w.find("retry: %v", err)
	}
	drill.Await(w.t, "the objects", func(ctx context.Context) error {
		s, err := w.server.Admin.Stream(ctx, w.archive)
		if err == nil && s.Ledger.Pending > 0 {
			err = fmt.Errorf("%s: %v", s.Status, s.Ledger)
		}
		return err
	})
	keys, err := w.objects.Keys(w.t.Context(), bucket, "2")
	if err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range keys {
		m := keyForm.FindStringSubmatch(key)
		if m == nil {
			w.find("an object has the key %s", key)
			continue
		}
		at, err := time.Parse("2006/01/02/15/04", m[1])
		if ahead := time.Until(at); err != nil || ahead > day+time.Minute || ahead < -10*time.Minute {
			w.find("an object has the key %s, which is %v ahead", key, ahead)
		}
		if seen[m[2]+m[3]] {
			w.find("two objects begin with %s %s", m[2], m[3])
		}
		seen[m[2]+m[3]] = true
	}
	if len(keys) == 0 {
		w.find("there are no objects")
	}
}
