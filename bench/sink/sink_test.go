package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/bench/corpus"
)

// start serves a sink and returns its address.
func start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- new(Sink).Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

func post(t *testing.T, url string, body io.Reader) {
	t.Helper()
	resp, err := http.Post(url, "application/x-ndjson", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, want := resp.StatusCode, http.StatusOK; got != want {
		t.Fatalf("status: got %d, want %d", got, want)
	}
}

func stats(t *testing.T, address string, upto int) Stats {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("%s/stats?upto=%d", address, upto))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s Stats
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// events returns the events with the given numbers, each with its line break.
func events(t *testing.T, connection int, numbers ...uint64) []string {
	t.Helper()
	c, err := corpus.New(corpus.Spec{Kind: corpus.Plain})
	if err != nil {
		t.Fatal(err)
	}
	g, list := c.Generator(connection), []string(nil)
	for _, n := range numbers {
		list = append(list, string(g.Append(nil, n, 1)))
	}
	return list
}

func TestEveryFormatIsCounted(t *testing.T) {
	address := start(t)
	one, three := events(t, 0, 0), events(t, 0, 1, 2, 3)
	post(t, address+"/a", strings.NewReader(strings.TrimSpace(one[0])))
	post(t, address+"/a?delay=1", strings.NewReader(strings.Join(three, "")))
	array := "[" + strings.ReplaceAll(strings.TrimSpace(strings.Join(events(t, 0, 4, 5), "")), "\n", ",") + "]"
	post(t, address+"/a", io.MultiReader(strings.NewReader(array))) // sent in chunks
	post(t, address+"/a", strings.NewReader("{\"id\":\"of Sluice itself\"}\n"))
	got := stats(t, address, 6).Paths["/a"]
	if got.Requests != 4 || got.Unique != 6 || got.Duplicates != 0 || got.Foreign != 1 || got.Missing != 0 {
		t.Errorf("stats: got %+v, want 4 requests, 6 unique, 1 foreign", got)
	}
}

func TestLostRepeatedAndDisorderedEventsShow(t *testing.T) {
	address := start(t)
	post(t, address+"/a", strings.NewReader(strings.Join(events(t, 1, 0, 1, 200, 100, 1, 100), "")))
	post(t, address+"/a", strings.NewReader(strings.Join(events(t, 2, 50), ""))) // another connection: no disorder
	post(t, address+"/b", strings.NewReader(strings.Join(events(t, 1, 7), "")))
	s := stats(t, address, 201)
	got := s.Paths["/a"]
	if got.Events != 7 || got.Unique != 5 || got.Duplicates != 2 || got.Disordered != 1 || got.Missing != 196 {
		t.Errorf("stats: got %+v, want 7 events, 5 unique, 2 duplicates, 1 disordered, 196 missing", got)
	}
	if want := []Range{{2, 50}, {51, 100}, {101, 200}}; !slices.Equal(got.MissingRanges, want) {
		t.Errorf("missing: got %v, want %v", got.MissingRanges, want)
	}
	if got, want := s.Paths["/b"].Unique, uint64(1); got != want {
		t.Errorf("other path: got %d, want %d", got, want)
	}
	post(t, address+"/reset", nil)
	if got := len(stats(t, address, 0).Paths); got != 0 {
		t.Errorf("paths after reset: got %d, want 0", got)
	}
}

func TestMissingAgreesWithASlowCount(t *testing.T) {
	var s seen
	for _, n := range []uint64{0, 1, 63, 64, 65, 127, 130, 255, 256, 400} {
		s.add(n)
	}
	for upto := range uint64(600) {
		var want []Range
		for n := range upto {
			if n/64 < uint64(len(s)) && s[n/64]>>(n%64)&1 == 1 {
				continue
			}
			if last := len(want) - 1; last >= 0 && want[last].To == n {
				want[last].To++
			} else {
				want = append(want, Range{n, n + 1})
			}
		}
		if _, got := s.missing(upto, 1000); !slices.Equal(got, want) {
			t.Fatalf("missing below %d: got %v, want %v", upto, got, want)
		}
	}
}

// postPacked posts a body as gzip, without the last bytes of it.
func postPacked(t *testing.T, url, body string, cut int) (status int) {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	packed.Truncate(packed.Len() - cut)
	r, err := http.NewRequest(http.MethodPost, url, &packed)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestPackedBodiesAreUnpacked(t *testing.T) {
	address := start(t)
	body := strings.Join(events(t, 0, 0, 1, 2), "")
	if got, want := postPacked(t, address+"/a", body, 0), http.StatusOK; got != want {
		t.Errorf("status: got %d, want %d", got, want)
	}
	if got, want := postPacked(t, address+"/a", body, 9), http.StatusBadRequest; got != want {
		t.Errorf("status of a broken body: got %d, want %d", got, want)
	}
	if got := stats(t, address, 3).Paths["/a"]; got.Unique != 3 || got.Missing != 0 || got.Requests != 1 {
		t.Errorf("stats: got %+v, want 3 unique events of one request", got)
	}
}

// TestLatePathsAreLeftOutOfTheTimes has a path whose events come late on purpose.
func TestLatePathsAreLeftOutOfTheTimes(t *testing.T) {
	address := start(t)
	post(t, address+"/late?delay=0", strings.NewReader(events(t, 0, 1)[0]))
	if got := stats(t, address, 0); got.P50 != 0 || got.Paths["/late"].Unique != 1 {
		t.Errorf("late: got %+v, want an event and no time", got)
	}
	post(t, address+"/a", strings.NewReader(events(t, 0, 1)[0]))
	if got := stats(t, address, 0); got.P50 == 0 {
		t.Errorf("in time: got %+v, want a time", got)
	}
}
