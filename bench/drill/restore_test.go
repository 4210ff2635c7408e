package drill_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/destination/s3/s3test"
)

const bucket = "drill"

// TestRestoredBackup backs a server up under load, loses its data, goes on with the
// backup, and judges what became of every event that was acknowledged before.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	var d restoration
	fault.Keep(t, d.record)
	d.play(t, made.Binary(t))
	for _, f := range d.found {
		t.Error(f)
	}
}

// restoration is what was done and seen.
type restoration struct {
	events int // acknowledged before the backup began
	lost   int // acknowledged after that
	found  []string
}

func (d *restoration) find(list []string) { d.found = append(d.found, list...) }

func (d *restoration) record() fault.Record {
	return fault.Record{
		Drill:    "Restored backups",
		What:     "A server is backed up while events come and streams deliver, fail, wait for objects and are paused; then it is killed, its data are thrown away and the backup takes their place. Compared: each event that was acknowledged before the backup began, at every stream; every ledger; the keys of objects.",
		Command:  "go test ./bench/drill -run TestRestoredBackup",
		Faults:   []fault.Count{{Name: "lost data folders", Count: 1}, {Name: "events lost with it, acknowledged after the backup", Count: int64(d.lost)}},
		Judged:   []fault.Count{{Name: "events", Count: int64(d.events)}, {Name: "streams", Count: 5}},
		Findings: d.found,
	}
}

// play is the whole drill.
func (d *restoration) play(t *testing.T, binary string) {
	t.Helper()
	s := drill.NewServer(t, binary)
	s.Start()
	p := drill.NewProducer(t, s)
	healthy, failing, paused, all := drill.NewReceiver(t, "healthy"), drill.NewReceiver(t, "failing"), drill.NewReceiver(t, "paused"), drill.NewReceiver(t, "all")
	for _, r := range []*drill.Receiver{healthy, failing, paused} {
		r.Create(s, client.StreamSpec{Namespace: drill.Namespace}, nil)
	}
	all.Create(s, client.StreamSpec{Start: "earliest"}, nil)
	archive := newArchive(t, s)
	p.Post(t.Context(), 500)
	d.find(settled(t, s, healthy, failing, paused, all))
	drill.Await(t, "the first objects", func(context.Context) error {
		if len(archive.keys(t)) == 0 {
			return errors.New("there are none")
		}
		return nil
	})
	failing.Set(drill.Mode{Status: http.StatusServiceUnavailable})
	if err := s.Admin.PauseStream(t.Context(), paused.ID); err != nil {
		t.Fatal(err)
	}
	archive.hold()
	p.Post(t.Context(), 500)
	held := archive.held(t)

	backup := filepath.Join(t.TempDir(), "backup")
	stop := background(t, p)
	for range 2 { // the second one takes what is new
		server.Pause(t.Context(), 200*time.Millisecond)
		d.events = p.Acked()
		run(t, binary, "backup", "--data", s.Data, "--to", backup, "--with-key")
	}
	server.Pause(t.Context(), 300*time.Millisecond)
	stop()
	s.Kill()
	d.lost = p.Acked() - d.events
	before := archive.keys(t)
	archive.waiting.Store(nil)
	if err := os.RemoveAll(s.Data); err != nil {
		t.Fatal(err)
	}
	s.Data += "-restored"
	run(t, binary, "restore", "--from", backup, "--data", s.Data)

	s.Start()
	failing.Set(drill.Mode{})
	if err := s.Admin.ResumeStream(t.Context(), paused.ID); err != nil {
		t.Fatal(err)
	}
	from := p.Acked()
	p.Post(t.Context(), 500)
	d.find(settled(t, s, healthy, failing, paused, all))
	d.find(p.Wrong())
	for _, r := range []*drill.Receiver{healthy, failing, paused, all} {
		d.find(compare(t, s, r, d.events, from, p.Acked()))
	}
	d.find(counted(t, s, all))
	// The first request may be one that the killed server was answering.
	d.find(archive.compare(t, s, before, d.events, from+100, p.Acked()))
	if archive.keys(t)[held] == "" {
		d.find([]string{fmt.Sprintf("the object %s, which was on its way at the backup, is not there", held)})
	}
}

// compare looks whether a receiver has what was acknowledged before the backup and
// what came after the restoration, and whether the ledger adds up.
func compare(t *testing.T, s *drill.Server, r *drill.Receiver, before, from, to int) (found []string) {
	t.Helper()
	for _, part := range [][2]int{{0, before}, {from, to}} {
		if missing := r.Missing(part[0], part[1]); len(missing) > 0 {
			found = append(found, fmt.Sprintf("%s: lost: events %v and maybe more of %v", r.Name, missing, part))
		}
	}
	v, err := s.Admin.Stream(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if l := v.Ledger; !l.Balanced() || l.Expired+l.Quarantined+l.Filtered > 0 {
		found = append(found, fmt.Sprintf("%s: the ledger is wrong: %+v", r.Name, l))
	}
	return found
}

// counted waits until the ledger of the stream that takes everything is what is in
// the log, as the search finds it.
func counted(t *testing.T, s *drill.Server, all *drill.Receiver) (found []string) {
	t.Helper()
	err := server.Await(t.Context(), server.Patience, "the account of everything", func(ctx context.Context) error {
		n := uint64(0)
		q := client.EventQuery{Limit: client.MaxFound}
		for more := true; more; {
			page, err := s.Admin.FindEvents(ctx, q)
			if err != nil {
				return err
			}
			n, q.After, more = n+uint64(len(page.Events)), page.Next, page.More
		}
		v, err := s.Admin.Stream(ctx, all.ID)
		if err == nil && v.Ledger.Accepted != n {
			err = fmt.Errorf("the log has %d events, the stream that takes everything has accepted %+v", n, v.Ledger)
		}
		return err
	})
	if err != nil {
		found = []string{err.Error()}
	}
	return found
}

// run runs a command of the server's program.
func run(t *testing.T, binary string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("sluice %v: %v\n%s", args, err, out)
	}
}

// archive is a bucket and the stream that fills it, over an address that can hold
// objects of Git events: they wait there until the server that puts them is gone.
type archive struct {
	server  *s3test.Server
	stream  sluice.StreamID
	waiting atomic.Pointer[chan string] // nil: nothing is held; the keys of those held
}

func (a *archive) hold() {
	c := make(chan string, 100)
	a.waiting.Store(&c)
}

// held waits for an object that is held, and returns its key.
func (a *archive) held(t *testing.T) string {
	t.Helper()
	select {
	case key := <-*a.waiting.Load():
		return key
	case <-time.After(server.Patience):
		t.Fatal("no object was put")
		return ""
	}
}

// gate returns the address.
func (a *archive) gate(t *testing.T) string {
	t.Helper()
	to, err := url.Parse(a.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which is signed
	}, ErrorLog: log.New(io.Discard, "", 0)}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := a.waiting.Load()
		if c == nil || r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "-git-") {
			pass.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // a connection that ends is seen behind the body only
		select {
		case *c <- strings.TrimPrefix(r.URL.Path, "/"+bucket+"/"):
		default: // the first one is looked at
		}
		<-r.Context().Done()
	}))
	t.Cleanup(func() {
		gate.CloseClientConnections() // of what is held
		gate.Close()
	})
	return gate.URL
}

func newArchive(t *testing.T, s *drill.Server) *archive {
	t.Helper()
	a := &archive{server: s3test.Run(t)}
	if err := a.server.MakeBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"bucket": bucket, "region": s3test.Region, "access_key_id": a.server.AccessKeyID, "endpoint": a.gate(t), "object_seconds": 1})
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.Admin.CreateStream(t.Context(), client.StreamSpec{Namespace: drill.Namespace, Name: "archive", Kind: "s3",
		Config: config, Secrets: map[string]string{"secret_access_key": a.server.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	a.stream = made.ID
	return a
}

// objectKey is the key of an object: a minute, the log's identity, stream,
// partition and range.
var objectKey = regexp.MustCompile(`^\d{4}/\d\d/\d\d/\d\d/\d\d/([^/]+)-(\d+)-(audit|git)-(\d+)-(\d+)\.json\.log\.gz$`)

// keys returns the identity of the log in each key.
func (a *archive) keys(t *testing.T) map[string]string {
	t.Helper()
	list, err := a.server.Keys(t.Context(), bucket, "2")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, key := range list {
		if m := objectKey.FindStringSubmatch(key); m != nil {
			out[key] = m[1]
		} else {
			t.Errorf("an object has the key %s", key)
		}
	}
	return out
}

// compare waits until the bucket has everything, and looks whether what the restored
// log took, the events of the second range, is in objects of its own name: one whose
// name collides is refused as done, and its events would not be there. An object of
// the old name may come after the restoration when it was under way at the backup
// or at the end of the old server: what is in it is of the old log.
func (a *archive) compare(t *testing.T, s *drill.Server, before map[string]string, events, from, to int) (found []string) {
	t.Helper()
	drill.Await(t, "the objects", func(ctx context.Context) error {
		v, err := s.Admin.Stream(ctx, a.stream)
		if err == nil && v.Ledger.Pending > 0 {
			err = fmt.Errorf("%s: %+v", v.Status, v.Ledger)
		}
		return err
	})
	old := map[string]bool{}
	for _, id := range before {
		old[id] = true
	}
	added, have := 0, map[int]bool{}
	for key, id := range a.keys(t) {
		if !old[id] {
			added++
		}
		for _, n := range a.events(t, key) {
			have[n] = true
			if n >= from && old[id] {
				found = append(found, fmt.Sprintf("the object %s has the identity of the log that was lost, and event %d of the restored one", key, n))
				break
			}
		}
	}
	if added == 0 || len(old) != 1 {
		found = append(found, fmt.Sprintf("%d objects were put after the restoration, %d logs put some before", added, len(old)))
	}
	for _, part := range [][2]int{{0, events}, {from, to}} {
		for n := part[0]; n < part[1] && len(found) < 10; n++ {
			if !have[n] {
				found = append(found, fmt.Sprintf("event %d is in no object", n))
			}
		}
	}
	return found
}

// eventNumber finds the producer's numbers in an object.
var eventNumber = regexp.MustCompile(`,"drill":(\d+),`)

// events returns the numbers of the events in an object.
func (a *archive) events(t *testing.T, key string) (list []int) {
	t.Helper()
	for _, m := range eventNumber.FindAllSubmatch(a.object(t, key), -1) {
		n, _ := strconv.Atoi(string(m[1])) // digits
		list = append(list, n)
	}
	return list
}

// object returns what is in an object.
func (a *archive) object(t *testing.T, key string) []byte {
	t.Helper()
	object, err := a.server.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	zip, err := gzip.NewReader(object.Body)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
