package oracle

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Streams to Amazon S3 all put their objects into one bucket, each through a
// server of its own, its receiver. What is promised of them is more than of
// others: an event is in the bucket once, whatever failed in between; tries of an
// object have its key and its content; and objects follow each other as their
// numbers do.

const (
	kindS3       = "s3"
	bucketName   = "oracle"
	bucketPrefix = "kept"
	checkPrefix  = bucketPrefix + "/sluice-check/"
)

// bucket is what is stored. It may be used at once.
type bucket struct {
	mu      sync.Mutex
	objects map[string]*object  // by key
	owners  map[int64]*receiver // of the objects, by the number of the stream in their keys
	open    chan struct{}       // closed when an object is stored that could have got more events
}

func newBucket() *bucket {
	return &bucket{objects: map[string]*object{}, owners: map[int64]*receiver{}, open: make(chan struct{})}
}

// awaitOpen waits until an object is stored that would get more events were it
// made now: a kill just then shows a server that does not know any more what it
// was about to store. It does not wait for long.
func (b *bucket) awaitOpen(ctx context.Context) {
	b.mu.Lock()
	open := b.open
	b.mu.Unlock()
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-open:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// object is what a request brings, and once it is stored, what is known of it.
type object struct {
	key  string
	sum  [sha256.Size]byte // of what is in it, unpacked
	life int               // the last one of the server in which it was told that the object is there; 0 for none
}

// find returns the object under a key, nil when there is none.
func (b *bucket) find(key string) *object {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.objects[key]
}

func (b *bucket) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.objects)
}

// add stores an object of a stream, which is full or open. It reports whether the
// stream is that of r alone.
func (b *bucket) add(o *object, stream int64, r *receiver, full bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[o.key] = o
	if !full {
		close(b.open)
		b.open = make(chan struct{})
	}
	if b.owners[stream] == nil {
		b.owners[stream] = r
	}
	return b.owners[stream] == r
}

// keyForm is how a key looks: the prefix, the minute of the first event, log,
// stream, partition, first and last number, and a variant of those made anew.
var keyForm = regexp.MustCompile(`^` + bucketPrefix + `/\d{4}/\d\d/\d\d/\d\d/\d\d/[0-9a-f]{32}-(\d+)-(audit|git)-(\d{20})-(\d{20})(-[0-9a-f]{16})?\.json\.log\.gz$`)

// readObject reads a request that puts an object; d is nil when the server was
// killed while it sent it.
func (r *receiver) readObject(req *http.Request) (d *delivery) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil
	}
	key := strings.TrimPrefix(req.URL.Path, "/"+bucketName+"/")
	if strings.HasPrefix(key, checkPrefix) {
		return &delivery{check: true}
	}
	sum := sha256.Sum256(body)
	if got := req.Header.Get("X-Amz-Checksum-Sha256"); got != base64.StdEncoding.EncodeToString(sum[:]) {
		r.findings.add("%s: object %s came with the checksum %q of other bytes", r.spec.Name, key, got)
	}
	if got := req.Header.Get("If-None-Match"); got != "*" {
		r.findings.add("%s: object %s may replace another one: it came with If-None-Match %q", r.spec.Name, key, got)
	}
	d = &delivery{object: &object{key: key}}
	zip, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(zip)
	}
	if err != nil || len(body) == 0 || body[len(body)-1] != '\n' {
		r.findings.add("%s: object %s is not made of lines (%v): %.80q", r.spec.Name, key, err, body)
		return d
	}
	d.object.sum = sha256.Sum256(body)
	d.events = bytes.Split(body[:len(body)-1], []byte("\n"))
	return d
}

// fateOfObject is fate for a bucket, which fails more often, for it gets fewer
// requests. proxied says that something before it answers: then the object may be
// stored whatever the answer is. The receiver is locked.
func (r *receiver) fateOfObject() (store bool, status int, proxied bool) {
	proxied = r.rng.IntN(2) == 0
	doubtful := proxied && r.rng.IntN(3) == 0
	switch r.mode {
	case down:
		return doubtful, http.StatusServiceUnavailable, proxied
	case forbidden:
		return doubtful, http.StatusForbidden, proxied
	case refusing:
		return doubtful, http.StatusBadRequest, proxied
	case flaky:
		if r.rng.IntN(3) == 0 {
			return r.rng.IntN(2) == 0, http.StatusInternalServerError, proxied
		}
	case lossy:
		if r.rng.IntN(3) == 0 {
			return r.rng.IntN(3) > 0, reset, false
		}
	case hanging:
		if r.rng.IntN(3) == 0 {
			return r.rng.IntN(2) == 0, hung, false
		}
	case healthy:
	}
	return true, http.StatusOK, false
}

// leaveInDoubt stores the next object under a new key and loses the answer, whatever
// the mode, and returns then: a change of the stream at this moment shows a server
// that takes an object for one that is not there. It does not wait for long.
func (r *receiver) leaveInDoubt(ctx context.Context) {
	doubt := make(chan struct{})
	r.mu.Lock()
	r.doubt = doubt
	r.mu.Unlock()
	patience := time.NewTimer(time.Second / 2)
	defer patience.Stop()
	select {
	case <-doubt:
	case <-patience.C:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubt = nil
}

// keep looks what is under the key of an object, which is to be stored or not, and
// stores it when there is nothing. It returns whether it did, and the answer. The
// receiver is locked.
func (r *receiver) keep(d *delivery, store bool, status int) (bool, int) {
	o := d.object
	there := r.bucket.find(o.key)
	if there == nil {
		if r.doubt != nil {
			store, status = true, reset
			close(r.doubt)
			r.doubt = nil
		}
		if store {
			r.judgeObject(d)
			if status == http.StatusOK {
				o.life = r.life
			}
		}
		return store, status
	}
	if there.sum != o.sum {
		r.findings.add("%s: object %s was tried with other events than are in it", r.spec.Name, o.key)
	}
	if there.life == r.life {
		r.findings.add("%s: object %s came again although it was answered with 200 in the same life %d of the server", r.spec.Name, o.key, r.life)
	}
	for range d.events {
		r.again(there.life != 0)
	}
	if status == http.StatusOK {
		there.life, status = r.life, http.StatusPreconditionFailed
	}
	return false, status
}

// judgeObject stores an object, and looks whether its key is right, and behind
// those before it: what is in it is judged event by event. The receiver is locked.
func (r *receiver) judgeObject(d *delivery) {
	key := d.object.key
	parts := keyForm.FindStringSubmatch(key)
	if parts == nil {
		r.findings.add("%s: an object has the key %s", r.spec.Name, key)
		return
	}
	stream, _ := strconv.ParseInt(parts[1], 10, 64) // these are digits
	first, _ := strconv.ParseUint(parts[3], 10, 64)
	last, _ := strconv.ParseUint(parts[4], 10, 64)
	class := 0
	if parts[2] == "git" {
		class = 1
	}
	if !r.bucket.add(d.object, stream, r, len(d.events) == r.spec.Objects) {
		r.findings.add("%s: object %s has the number of another stream", r.spec.Name, key)
	}
	if n := uint64(len(d.events)); last < first || last-first+1 < n {
		r.findings.add("%s: object %s holds %d events", r.spec.Name, key, n)
	}
	if first <= r.numbers[class] {
		r.findings.add("%s: object %s came after one that ends at %d", r.spec.Name, key, r.numbers[class])
	}
	r.numbers[class] = last
	for _, e := range d.events {
		if n, ok := numberOf(e); ok && r.classOf(e) != class {
			r.findings.add("%s: object %s holds event %d, which is of another class", r.spec.Name, key, n)
		}
	}
}

// errorCodes are those of Amazon S3's answers, by status.
var errorCodes = map[int]string{
	http.StatusBadRequest: "InvalidRequest", http.StatusForbidden: "AccessDenied", http.StatusPreconditionFailed: "PreconditionFailed",
	http.StatusInternalServerError: "InternalError", http.StatusServiceUnavailable: "SlowDown",
}

// answerObject answers as a bucket does, or as a proxy before it, which has no
// words of Amazon's.
func answerObject(w http.ResponseWriter, status int, proxied bool) {
	w.WriteHeader(status)
	if code := errorCodes[status]; code != "" && !proxied {
		fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>as the oracle wants it</Message></Error>", code)
	}
}
