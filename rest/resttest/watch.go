package resttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Watch returns h with each of its answers compared with the document. What it
// finds is an error of the test.
func (d *Document) Watch(t testing.TB, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &record{ResponseWriter: w}
		body := &sent{ReadCloser: r.Body}
		watched := r.Clone(r.Context())
		watched.Body = body
		defer func() {
			whole := recover()
			for _, err := range d.judge(r, body.Bytes(), rec, whole == nil) {
				t.Errorf("%s %s was answered with %d: %v", r.Method, r.URL, rec.status, err)
			}
			if whole != nil {
				panic(whole) // an answer that was cut off
			}
		}()
		h.ServeHTTP(rec, watched)
		rec.begin(http.StatusOK)
	})
}

// sent remembers what the handler read of a request's body.
type sent struct {
	io.ReadCloser
	bytes.Buffer
}

func (s *sent) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	_, _ = s.Write(p[:n]) // never fails
	return n, err
}

func (s *sent) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{s}) }

// most is how many bytes of an answer are kept: larger ones are not judged.
const most = 1 << 20

// record remembers an answer.
type record struct {
	http.ResponseWriter
	status int
	header http.Header // when it began
	body   bytes.Buffer
	large  bool // the body has more than that
}

func (rec *record) begin(status int) {
	if rec.status == 0 {
		rec.status, rec.header = status, rec.Header().Clone()
	}
}

func (rec *record) WriteHeader(status int) {
	rec.begin(status)
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *record) Write(p []byte) (int, error) {
	rec.begin(http.StatusOK)
	if rec.large = rec.large || rec.body.Len()+len(p) > most; !rec.large {
		_, _ = rec.body.Write(p) // never fails
	}
	return rec.ResponseWriter.Write(p)
}

func (rec *record) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// judge returns everything that is not as the document says.
func (d *Document) judge(r *http.Request, body []byte, rec *record, whole bool) []error {
	op, known := d.operation(r.Method, r.URL.Path)
	switch {
	case !known && rec.status == http.StatusNotFound:
		return nil
	case !known:
		return []error{errors.New("the document does not know the path")}
	case op == nil || rec.status == http.StatusMethodNotAllowed: // which surfaces that share a path tell of each other's methods
		return d.judgeOther(rec)
	}
	place, response := d.resolve(op.pointer+pointer("responses", fmt.Sprint(rec.status)), op.responses[fmt.Sprint(rec.status)])
	if response == nil {
		return []error{errors.New("the document does not know the status")}
	}
	errs := d.judgeHeader(place, response, rec.header)
	if whole {
		errs = append(errs, d.judgeBody(place, response, r, rec)...)
	}
	if rec.status < 300 {
		errs = append(errs, d.judgeParameters(op, r)...)
		errs = append(errs, d.judgeRequest(op, r, body)...)
	}
	if fmt.Sprint(rec.status) == op.success() && r.Method != http.MethodHead {
		d.mu.Lock()
		d.seen[op.name] = true
		d.mu.Unlock()
	}
	return errs
}

// judgeOther judges the answer to a method that the document does not name.
func (d *Document) judgeOther(rec *record) []error {
	name := map[int]string{
		http.StatusUnauthorized: "Unauthorized", http.StatusTooManyRequests: "RateLimited", http.StatusMethodNotAllowed: "MethodNotAllowed",
	}[rec.status]
	if name == "" {
		return []error{errors.New("the document does not know the method")}
	}
	place := pointer("components", "responses", name)
	_, response := d.resolve("", object{"$ref": "#" + place})
	return append(d.judgeHeader(place, response, rec.header), d.judgeBody(place, response, &http.Request{}, rec)...)
}
