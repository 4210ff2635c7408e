package webhook

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

const official = "../../testservers/webhooks"

// verifier is the official library of Standard Webhooks in a process of its own.
type verifier struct {
	t   *testing.T
	in  *json.Encoder
	out *bufio.Scanner
}

func newVerifier(t *testing.T) *verifier {
	t.Helper()
	if _, err := os.Stat(official + "/node_modules/standardwebhooks"); err != nil {
		t.Fatal("the npm package standardwebhooks is missing: run scripts/prepare, which installs it")
	}
	cmd := exec.Command("node", "verify.mjs")
	cmd.Dir = official
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node, which scripts/prepare installs: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the verifier ended with %v", err)
		}
	})
	return &verifier{t: t, in: json.NewEncoder(in), out: bufio.NewScanner(out)}
}

// verify returns what the library says about a request, "" when it is genuine.
func (v *verifier) verify(secret string, r signed) string {
	v.t.Helper()
	headers := map[string]string{}
	for name := range r.header {
		headers[strings.ToLower(name)] = r.header.Get(name)
	}
	if err := v.in.Encode(map[string]any{"secret": secret, "headers": headers, "body": r.body}); err != nil {
		v.t.Fatal(err)
	}
	var answer struct {
		OK    bool
		Error string
	}
	if !v.out.Scan() {
		v.t.Fatalf("the verifier ended: %v", v.out.Err())
	}
	if err := json.Unmarshal(v.out.Bytes(), &answer); err != nil {
		v.t.Fatalf("answer %q: %v", v.out.Bytes(), err)
	}
	if !answer.OK && answer.Error == "" {
		v.t.Fatal("refused without a reason")
	}
	return answer.Error
}

type signed struct {
	header http.Header
	body   string
}

// TestOfficialLibraryVerifies sends signed requests and has them verified by the
// library that receivers use: both bodies that are JSON, both secrets while one
// replaces the other, and a retry minutes later.
func TestOfficialLibraryVerifies(t *testing.T) {
	requests := make(chan signed, 10)
	answer := make(chan int, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		requests <- signed{r.Header.Clone(), string(body)}
		w.WriteHeader(<-answer)
	}))
	defer s.Close()
	v := newVerifier(t)
	old, next := NewSigningSecret(), NewSigningSecret()
	now := time.Now() // the library judges by its own clock
	env := fixedEnv()
	env.Now = func() time.Time { return now }
	secrets := Rotate(destination.Secrets{VerificationToken: testToken, SigningSecret: old},
		destination.Secrets{VerificationToken: testToken, SigningSecret: next}, now)
	for _, format := range []Format{FormatEvent, FormatArray} {
		dst := openAt(t, s.URL, secrets, env, map[string]any{"format": format})
		for attempt, status := range []int{http.StatusServiceUnavailable, http.StatusOK} {
			now = time.Now().Add(time.Duration(attempt-1) * 2 * time.Minute)
			answer <- status
			dst.Send(t.Context(), destinationtest.Batch(1))
			r := <-requests
			for _, secret := range []string{old, next} {
				if refused := v.verify(secret, r); refused != "" {
					t.Errorf("format %s, attempt %d: got %q, want verified", format, attempt+1, refused)
				}
			}
			if v.verify(NewSigningSecret(), r) == "" {
				t.Errorf("format %s: verified with another secret", format)
			}
			r.body = strings.Replace(r.body, "e-0", "e-1", 1)
			if v.verify(next, r) == "" {
				t.Errorf("format %s: verified with another body", format)
			}
		}
		dst.Close()
	}
}
