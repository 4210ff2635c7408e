package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines returns events whose n runs from first to last.
func eventLines(first, last int) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		fmt.Fprintf(&b, `{"action":"a","n":%d}`+"\n", n)
	}
	return b.String()
}

func numbers(first, last int) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		fmt.Fprintf(&b, "%d ", n)
	}
	return b.String()
}

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func (a *api) emit(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return sluiceRun(t.Context(), a.environ(), stdin, append([]string{"emit"}, args...)...)
}

func TestEmitStandardInput(t *testing.T) {
	a := newAPI(t)
	rejected := filepath.Join(t.TempDir(), "rejected")
	in := eventLines(1, 3) + "\n{\"action\":\n  \nfalse\n" + eventLines(4, 5) + "{\"bad\":\"\xff\"}\n" + strings.TrimSuffix(eventLines(6, 6), "\n")
	got := a.emit(t, in, "--json", "--rejected", rejected)
	if got.code != 1 {
		t.Errorf("exit code: got %d, want 1 because lines were refused", got.code)
	}
	var total emitTotal
	if err := json.Unmarshal([]byte(got.stdout), &total); err != nil || total.Accepted != 6 || total.Rejected != 3 || total.Last["git"] != 6 {
		t.Errorf("summary: got %s, %v, want 6 accepted, 3 rejected, last 6", got.stdout, err)
	}
	if got, want := a.took(), numbers(1, 6); got != want {
		t.Errorf("events: got %s, want %s", got, want)
	}
	var refusals []rejection
	text, err := os.ReadFile(rejected)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r rejection
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		refusals = append(refusals, r)
	}
	if len(refusals) != 3 || refusals[0].Line != `{"action":` || refusals[0].Reason != "no event" || refusals[0].Offset != int64(len(eventLines(1, 3))+1) {
		t.Errorf("rejected: got %+v, want the line, its offset and the reason", refusals)
	}
	if got, want := string(refusals[2].Base64), "{\"bad\":\"\xff\"}"; got != want {
		t.Errorf("line that is not UTF-8: got %q, want %q", got, want)
	}
}

func TestEmitWritesRefusalsToStandardError(t *testing.T) {
	a := newAPI(t)
	got := a.emit(t, "nonsense\n")
	if got.code != 1 || !strings.Contains(got.stderr, `"reason":"no event"`) || !strings.Contains(got.stderr, "0 accepted, 1 refused") {
		t.Errorf("got %+v, want code 1 and the refusal", got)
	}
}

func TestEmitSplitsWhatIsRefusedWithoutNames(t *testing.T) {
	a := newAPI(t)
	a.answer = func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		if strings.Contains(string(body), `"n":5}`) {
			writeAnswer(w, http.StatusRequestEntityTooLarge, apiError("too_large", "too large", "", nil))
			return true
		}
		return false
	}
	got := a.emit(t, eventLines(1, 9))
	if want := numbers(1, 4) + numbers(6, 9); got.code != 1 || a.took() != want {
		t.Errorf("got %+v and events %s, want %s", got, a.took(), want)
	}
}

func TestEmitWaits(t *testing.T) {
	a := newAPI(t)
	tries := 0
	a.answer = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		tries++
		if tries > 2 {
			return false
		}
		w.Header().Set("Retry-After", "0")
		writeAnswer(w, []int{http.StatusServiceUnavailable, http.StatusInsufficientStorage}[tries-1], apiError("busy", "too busy", "", nil))
		return true
	}
	got := a.emit(t, eventLines(1, 2))
	if got.code != 0 || a.took() != numbers(1, 2) || !strings.Contains(got.stderr, "waiting: too busy") || !strings.Contains(got.stderr, "takes events again") {
		t.Errorf("got %+v and events %s, want all events after waiting", got, a.took())
	}
}

func TestEmitStopsWhenItMayNot(t *testing.T) {
	a := newAPI(t)
	got := sluiceRun(t.Context(), []string{"SLUICE_SERVER=" + a.URL, "SLUICE_TOKEN=wrong"}, eventLines(1, 1), "emit")
	if got.code != 1 || !strings.Contains(got.stderr, "unknown token") {
		t.Errorf("got %+v, want code 1 and the reason", got)
	}
}

func TestEmitResumes(t *testing.T) {
	a := newAPI(t)
	file := filepath.Join(t.TempDir(), "audit.ndjson")
	appendFile(t, file, eventLines(1, 3)+`{"action":"a",`)
	follow := func(want string) {
		t.Helper()
		if got := a.emit(t, "", "--follow", file, "--once", "--batch-events", "2"); got.code != 0 {
			t.Errorf("got %+v, want code 0", got)
		}
		if got := a.took(); got != want {
			t.Errorf("events: got %s, want %s", got, want)
		}
	}
	follow(numbers(1, 3)) // the half line stays for later
	appendFile(t, file, `"n":4}`)
	follow(numbers(1, 4)) // a whole object, although its line has not ended
	appendFile(t, file, "\n"+eventLines(5, 6))
	follow(numbers(1, 6))
	follow(numbers(1, 6))

	// Rotated twice while nobody followed.
	appendFile(t, file, eventLines(7, 7))
	rotate(t, file, file+".2", -2*time.Hour)
	appendFile(t, file, eventLines(8, 9))
	rotate(t, file, file+".1", -time.Hour)
	appendFile(t, file, eventLines(10, 10))
	follow(numbers(1, 10))

	// Truncated and written anew, with the same first event.
	if err := os.WriteFile(file, []byte(eventLines(10, 12)), 0o600); err != nil {
		t.Fatal(err)
	}
	appendFile(t, file, eventLines(13, 13))
	follow(numbers(1, 10) + numbers(11, 13))
}

func rotate(t *testing.T, from, to string, age time.Duration) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(age)
	if err := os.Chtimes(to, at, at); err != nil {
		t.Fatal(err)
	}
}

// A crash between the server's answer and the note of it repeats a request,
// which adds nothing, also when the file has grown and lines were refused.
func TestEmitAfterCrash(t *testing.T) {
	a := newAPI(t)
	file := filepath.Join(t.TempDir(), "audit.ndjson")
	appendFile(t, file, eventLines(1, 1))
	if got := a.emit(t, "", "--follow", file, "--once"); got.code != 0 {
		t.Fatalf("got %+v, want code 0", got)
	}
	before, err := os.ReadFile(file + ".offset")
	if err != nil {
		t.Fatal(err)
	}
	appendFile(t, file, eventLines(2, 3)+"bad\n"+eventLines(4, 4))
	a.emit(t, "", "--follow", file, "--once")
	if err := os.WriteFile(file+".offset", before, 0o600); err != nil {
		t.Fatal(err)
	}
	appendFile(t, file, eventLines(5, 6))
	got := a.emit(t, "", "--follow", file, "--once", "--json")
	var total emitTotal
	if err := json.Unmarshal([]byte(got.stdout), &total); err != nil || total.Duplicates != 3 || total.Accepted != 2 {
		t.Errorf("summary: got %s, %v, want 3 duplicates, 2 accepted", got.stdout, err)
	}
	if got, want := a.took(), numbers(1, 6); got != want {
		t.Errorf("events: got %s, want %s", got, want)
	}
}

func TestEmitFollowsRotationAndTruncation(t *testing.T) {
	a := newAPI(t)
	took := make(chan int, 100)
	a.answer = func(http.ResponseWriter, *http.Request, []byte) bool {
		took <- 1
		return false
	}
	file := filepath.Join(t.TempDir(), "audit.ndjson")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result)
	go func() {
		done <- sluiceRun(ctx, a.environ(), "", "emit", "--follow", file, "--linger", "1ms")
	}()
	await := func(n int) {
		t.Helper()
		for a.stored() < n {
			<-took
		}
	}
	appendFile(t, file, eventLines(1, 2))
	await(2)
	rotate(t, file, file+".1", 0)
	appendFile(t, file+".1", eventLines(3, 3)) // the writer has not noticed yet
	appendFile(t, file, eventLines(4, 5))
	await(5)
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	appendFile(t, file, eventLines(6, 7))
	await(7)
	// As logrotate's copytruncate does it; the last line has not been read before.
	appendFile(t, file, eventLines(8, 8))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rotate(t, file+".1", file+".2", -time.Hour)
	writeFile(t, file+".1", string(text))
	writeFile(t, file, eventLines(9, 9))
	await(9)
	cancel()
	if got := <-done; got.code != 0 || !strings.Contains(got.stderr, "9 accepted") {
		t.Errorf("got %+v, want code 0 and 9 accepted", got)
	}
	if got, want := a.took(), numbers(1, 9); got != want {
		t.Errorf("events: got %s, want %s", got, want)
	}
}

// A file that was rotated away is removed while it is read, or before: those that were
// rotated after it are read all the same.
func TestEmitWhenRotatedFilesGo(t *testing.T) {
	for _, c := range []struct {
		what, want string
		before     bool
	}{{"while it is read", numbers(1, 6), false}, {"before", numbers(1, 3) + numbers(5, 6), true}} {
		a := newAPI(t)
		file := filepath.Join(t.TempDir(), "audit.ndjson")
		appendFile(t, file, eventLines(1, 3))
		if got := a.emit(t, "", "--follow", file, "--once"); got.code != 0 {
			t.Fatalf("got %+v, want code 0", got)
		}
		appendFile(t, file, eventLines(4, 4))
		rotate(t, file, file+".2", time.Hour)
		appendFile(t, file, eventLines(5, 5))
		rotate(t, file, file+".1", 2*time.Hour)
		appendFile(t, file, eventLines(6, 6))
		remove := sync.OnceFunc(func() {
			if err := os.Remove(file + ".2"); err != nil {
				t.Error(err)
			}
		})
		if c.before {
			remove()
		}
		a.answer = func(http.ResponseWriter, *http.Request, []byte) bool { remove(); return false }
		got := a.emit(t, "", "--follow", file, "--once")
		if got.code != 0 || strings.Contains(got.stderr, "is gone") != c.before {
			t.Errorf("%s: got %+v", c.what, got)
		}
		if got := a.took(); got != c.want {
			t.Errorf("%s: got events %s, want %s", c.what, got, c.want)
		}
	}
}

// A file that is copied and truncated while nobody follows is gone on with in its copy;
// and a new file that has the number of the one before is not taken for all there is.
func TestEmitFindsWhatWasWrittenMeanwhile(t *testing.T) {
	for _, c := range []struct {
		what, moved string // the rotated file
		says        bool
	}{{"copied", eventLines(1, 4), false}, {"renamed, and the file before is gone", eventLines(4, 4), true}} {
		a := newAPI(t)
		file := filepath.Join(t.TempDir(), "audit.ndjson")
		appendFile(t, file, eventLines(1, 3))
		if got := a.emit(t, "", "--follow", file, "--once"); got.code != 0 {
			t.Fatalf("got %+v, want code 0", got)
		}
		writeFile(t, file+".tmp", c.moved)
		rotate(t, file+".tmp", file+".1", time.Hour)
		writeFile(t, file, eventLines(5, 5))
		got := a.emit(t, "", "--follow", file, "--once")
		if got.code != 0 || strings.Contains(got.stderr, "truncated") != c.says {
			t.Errorf("%s: got %+v", c.what, got)
		}
		if got, want := a.took(), numbers(1, 5); got != want {
			t.Errorf("%s: got events %s, want %s", c.what, got, want)
		}
	}
}

func TestEmitOneFollowerAtATime(t *testing.T) {
	a := newAPI(t)
	file := filepath.Join(t.TempDir(), "audit.ndjson")
	s, err := openState(file + ".offset")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if got := a.emit(t, "", "--follow", file, "--once"); got.code != 1 || !strings.Contains(got.stderr, "another process follows") {
		t.Errorf("got %+v, want code 1 and the reason", got)
	}
}

func TestSplitterCutsLongLines(t *testing.T) {
	long := strings.Repeat("x", maxLine+100000)
	s := newSplitter(strings.NewReader("a\n"+long+"\nb\nc"), 0)
	var got []string
	for {
		data, offset, err := s.next()
		if err != nil {
			break
		}
		got = append(got, fmt.Sprintf("%d@%d", len(data), offset))
	}
	rest, offset := s.rest()
	got = append(got, fmt.Sprintf("%s@%d", rest, offset))
	want := fmt.Sprintf("1@0 %d@2 1@%d c@%d", maxLine+1, len(long)+3, len(long)+5)
	if strings.Join(got, " ") != want {
		t.Errorf("lines: got %s, want %s", strings.Join(got, " "), want)
	}
}

// The reader of a followed file tells what it meets while the sender draws its
// progress: each line that is told stands by itself.
func TestProgressOfReaderAndSender(t *testing.T) {
	const says, erase = 1000, "\r\x1b[K"
	var out strings.Builder
	p := newProgress(&Env{Stderr: &out, Terminal: true})
	var reader sync.WaitGroup
	reader.Go(func() {
		for n := range says {
			p.say("met %d", n)
		}
	})
	for n := range says {
		p.next = time.Time{} // it is drawn each time
		p.update(&emitTotal{Accepted: n})
	}
	reader.Wait()
	p.done()
	told := 0
	for text := range strings.Lines(out.String()) {
		if i := strings.LastIndex(text, erase); i >= 0 {
			text = text[i+len(erase):]
		}
		if text == fmt.Sprintf("sluice: met %d\n", told) {
			told++
		}
	}
	if told != says {
		t.Errorf("lines of the reader: got %d by themselves, want %d", told, says)
	}
}
