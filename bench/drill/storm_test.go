package drill_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/eventlog"
)

// TestRestartStorm starts and ends the server again and again while producers post:
// most lives end before the start does, and each stores events by s2 or by zstd.
// Nothing may be lost, later starts may not take longer than the first ones, and
// nothing may be left over by each.
func TestRestartStorm(t *testing.T) {
	t.Parallel()
	st := &stormed{seed: fault.Seed(t, *seedFlag)}
	fault.Keep(t, st.record)
	st.play(t, made.Binary(t), *startsFlag)
	for _, f := range st.found {
		t.Error(f)
	}
	if len(st.codecs) < 2 {
		t.Errorf("the log has blocks by %v, want both codecs", st.codecs)
	}
}

func (st *stormed) record() fault.Record {
	return fault.Record{
		Drill:   "Restart storms",
		What:    "The server is started and killed or stopped again and again, most times while it starts, storing what comes by s2 or by zstd, with producers and streams at work, one of them behind. Compared: every event and ledger, how long starts take, and what grows with them: descriptors, files, control.db.",
		Command: fmt.Sprintf("go test ./bench/drill -run TestRestartStorm -args -starts %d -seed %d", *startsFlag, st.seed),
		Seeds:   fmt.Sprint(st.seed),
		Faults: []fault.Count{{Name: "starts", Count: int64(st.starts)}, {Name: "kills", Count: int64(st.kills)}, {Name: "stops", Count: int64(st.stops)},
			{Name: "ended while starting", Count: int64(st.early)}},
		Judged:   []fault.Count{{Name: "events", Count: int64(st.events)}},
		Findings: st.found,
	}
}

// slack is how much slower starts may become by chance: a few are compared in a short
// run, on a machine that does much else.
const slack = 2 * time.Second

// stormed is what was done and seen.
type stormed struct {
	seed                        uint64
	starts, kills, stops, early int
	events                      int
	took                        []time.Duration
	codecs                      map[eventlog.Codec]int // blocks of the log, by codec
	found                       []string
}

// play is the whole drill.
func (st *stormed) play(t *testing.T, binary string, starts int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(st.seed, 2))
	s := drill.NewServer(t, binary)
	s.Start()
	p := drill.NewProducer(t, s)
	defer func() { st.events = p.Acked() }()
	healthy, behind := drill.NewReceiver(t, "healthy"), drill.NewReceiver(t, "behind")
	for _, r := range []*drill.Receiver{healthy, behind} {
		r.Create(s, client.StreamSpec{Namespace: drill.Namespace}, nil)
	}
	behind.Set(drill.Mode{Status: http.StatusServiceUnavailable})
	p.Post(t.Context(), 200)
	descriptors, files, size := s.Descriptors(), count(t, s.Data), weigh(t, filepath.Join(s.Data, "control.db"))
	stop := background(t, p)
	defer stop()
	for st.starts < starts {
		st.end(s, rng)
		s.Args = []string{"--compression", [...]string{"zstd", "s2"}[st.starts%2]}
		st.starts++
		if rng.IntN(3) == 0 {
			began := time.Now()
			s.Start()
			st.took = append(st.took, time.Since(began))
			server.Pause(t.Context(), time.Duration(rng.IntN(100))*time.Millisecond)
			continue
		}
		s.Launch()
		st.early++
		server.Pause(t.Context(), time.Duration(rng.IntN(rng.IntN(500)+1))*time.Millisecond)
	}
	st.end(s, rng)
	s.Args = []string{"--compression", "zstd"}
	s.Start()
	stop()
	p.Post(t.Context(), 100)
	behind.Set(drill.Mode{})
	st.found = append(st.found, settled(t, s, healthy, behind)...)
	st.found = append(st.found, whole(t, s, p.Acked(), healthy, behind)...)
	st.found = append(st.found, p.Wrong()...)
	st.codecs = codecs(t, s.Data)
	st.compare("open descriptors", descriptors, s.Descriptors(), 40)
	st.compare("files", files, count(t, s.Data), 8)
	st.compare("bytes of control.db", size, weigh(t, filepath.Join(s.Data, "control.db")), 1<<20)
	half := len(st.took) / 2
	if first, last := median(st.took[:half]), median(st.took[half:]); last > 3*first+slack {
		st.found = append(st.found, fmt.Sprintf("starts became slower: %v at first, %v at last", first, last))
	}
}

// end ends the server in one way or the other.
func (st *stormed) end(s *drill.Server, rng *rand.Rand) {
	if rng.IntN(3) == 0 {
		s.Stop()
		st.stops++
		return
	}
	s.Kill()
	st.kills++
}

// compare holds that something has not grown by more than so much: streams at work
// take some.
func (st *stormed) compare(what string, before, after, most int) {
	if after-before > most {
		st.found = append(st.found, fmt.Sprintf("%s grew from %d to %d", what, before, after))
	}
}

// count counts the files of a folder.
func count(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// codecs counts the blocks of a log by codec.
func codecs(t *testing.T, data string) map[eventlog.Codec]int {
	t.Helper()
	found := map[eventlog.Codec]int{}
	files, err := filepath.Glob(filepath.Join(data, "log", "*", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, rest := range bytes.SplitAfter(text, []byte(eventlog.Magic)) {
			if h, err := eventlog.ParseHeader(append([]byte(eventlog.Magic), rest...)); err == nil {
				found[h.Codec]++
			}
		}
	}
	return found
}

func weigh(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}
