package drill_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// A data folder of each earlier format is in testdata, made by the server of that
// time. To make one, build that server and run
//
//	go test ./bench/drill -run TestMakeFixture -args -old PATH -fixture NAME
//
// With -killed the server has a stream to a bucket, too, with an object on its way,
// a full file of the log and a full chunk of the index, and is killed in the end.
// Without -old it is today's then, with chunks of a few events.
var (
	killedFlag  = flag.Bool("killed", false, "the server that makes the fixture is killed in the end")
	oldFlag     = flag.String("old", "", "the server of another time that makes a fixture")
	fixtureFlag = flag.String("fixture", "", "the name of the fixture that it makes")
)

// fixture says what is in a data folder.
type fixture struct {
	Token  string // of the producer
	Acked  int    // events
	Before int    // of them had been delivered when the stream was paused
	// Streams are healthy, paused, and one with an event in quarantine.
	Streams map[string]kept

	Killed bool            // the server was; its last changes are in write-ahead logs
	Bucket sluice.StreamID // a stream to a bucket, 0 for none
	Object string          // what it was storing when the server died: the path of the request
}

type kept struct {
	ID     sluice.StreamID
	Ledger sluice.Ledger
}

const refusedEvent = 37

// TestUpgrade opens the data folders of earlier servers with today's: every event
// has to be there, streams have to go on where they stood, ledgers to be the same.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	list, err := filepath.Glob("testdata/*.tar.gz")
	if err != nil || len(list) == 0 {
		t.Fatalf("there are no data folders of earlier servers (%v)", err)
	}
	var found []string
	events := 0
	fault.Keep(t, func() fault.Record {
		return fault.Record{
			Drill:    "Upgrades",
			What:     "Data folders that servers of earlier formats left, with streams that are up to date, paused and behind, and with an event in quarantine, are opened with today's server; one was left by a kill, with an object on its way into a bucket. Compared: ledgers, what each stream sends next, tokens, quarantine, and every event by the search.",
			Command:  "go test ./bench/drill -run TestUpgrade",
			Faults:   []fault.Count{{Name: "earlier servers", Count: int64(len(list))}},
			Judged:   []fault.Count{{Name: "events", Count: int64(events)}},
			Findings: found,
		}
	})
	for _, path := range list {
		name := strings.TrimSuffix(filepath.Base(path), ".tar.gz")
		if !t.Run(name, func(t *testing.T) {
			wrong, n := upgraded(t, path)
			for _, f := range wrong {
				t.Error(f)
				found = append(found, name+": "+f)
			}
			events += n
		}) {
			found = append(found, name+": it failed; see the output")
		}
	}
}

func upgraded(t *testing.T, path string) (found []string, events int) {
	t.Helper()
	find := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	binary := *binaryFlag
	if binary == "" {
		binary = made.Binary(t)
	}
	s := drill.NewServer(t, binary, "--existing")
	fx := unpack(t, path, s.Data)
	s.Start()
	for name, k := range fx.Streams {
		v, err := s.Admin.Stream(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		if v.Ledger != k.Ledger {
			find("%s: the ledger was %+v and is %+v", name, k.Ledger, v.Ledger)
		}
	}
	shop := redirected(t, s, &fx)
	receivers := map[string]*drill.Receiver{}
	for name, k := range fx.Streams {
		r := drill.NewReceiver(t, name)
		r.ID = k.ID
		receivers[name] = r
		body, err := json.Marshal(map[string]any{"config": map[string]any{"url": r.URL(), "format": "ndjson"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Admin.UpdateStream(t.Context(), k.ID, body); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.Admin.Quarantine(t.Context(), fx.Streams["refusing"].ID, 0); err != nil || len(list) != 1 || list[0].ID != fmt.Sprint("drill-", refusedEvent) {
		find("quarantine: got %+v (%v), want event %d", list, err, refusedEvent)
	}
	if err := s.Admin.ResumeStream(t.Context(), fx.Streams["paused"].ID); err != nil {
		t.Fatal(err)
	}
	p := drill.Continue(s, fx.Token, fx.Acked)
	p.Post(t.Context(), 40)
	for name, r := range receivers {
		from := fx.Acked
		if name == "paused" {
			from = fx.Before
		}
		found = append(found, settled(t, s, r)...)
		if missing := r.Missing(from, p.Acked()); len(missing) > 0 {
			find("%s: lost: %v of %d", name, missing, p.Acked())
		}
		for n := range from {
			if r.Has(n) {
				find("%s: event %d came again, which was counted as delivered long before", name, n)
				break
			}
		}
		v, err := s.Admin.Stream(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if l := v.Ledger; !l.Balanced() || l.Expired > 0 {
			find("%s: the ledger is wrong: %+v", name, l)
		}
	}
	if shop != nil {
		found = append(found, shop.judge(t, s, &fx, p.Acked())...)
	}
	found = append(found, p.Wrong()...)
	return append(found, searched(t, s, p.Acked())...), p.Acked()
}

// searched waits until the search has every event of the producer.
func searched(t *testing.T, s *drill.Server, acked int) (found []string) {
	t.Helper()
	have := map[string]bool{}
	drill.Await(t, "the index", func(ctx context.Context) error {
		page, err := s.Admin.FindEvents(ctx, client.EventQuery{Limit: client.MaxFound, Phrase: "actor:someone"})
		if err != nil {
			return err
		}
		if len(page.Events) < acked {
			return fmt.Errorf("%d events are found", len(page.Events))
		}
		for _, e := range page.Events {
			have[string(e.Event)] = true
		}
		return nil
	})
	for n := range acked {
		if !have[string(drill.Event(n))] {
			found = append(found, fmt.Sprintf("event %d is not found", n))
		}
	}
	return found
}

// TestMakeFixture makes a data folder with a server of another time.
func TestMakeFixture(t *testing.T) {
	old := *oldFlag
	switch {
	case old == "" && !*killedFlag:
		t.Skip("data folders are made by servers of other times; see the flag -old")
	case old == "":
		old = mutant.Test(t, []mutant.Edit{{File: "index/head.go", Old: "ChunkEvents = 128 << 10", New: "ChunkEvents = 60"}})
	}
	s := drill.NewServer(t, old)
	s.Env = nil // the first ones have no limit of requests
	s.Start()
	p := drill.NewProducer(t, s)
	fx := fixture{Token: p.Token, Streams: map[string]kept{}}
	healthy, paused, refusing := drill.NewReceiver(t, "healthy"), drill.NewReceiver(t, "paused"), drill.NewReceiver(t, "refusing")
	refusing.Refuse(refusedEvent)
	for _, r := range []*drill.Receiver{healthy, paused, refusing} {
		r.Create(s, client.StreamSpec{Namespace: drill.Namespace}, nil)
	}
	var shop *shop
	if *killedFlag {
		shop = newShop(t)
		fx.Bucket = shop.create(t, s)
	}
	p.Post(t.Context(), 50)
	settled(t, s, healthy, paused, refusing)
	if err := s.Admin.PauseStream(t.Context(), paused.ID); err != nil {
		t.Fatal(err)
	}
	fx.Before = p.Acked()
	p.Post(t.Context(), 20)
	settled(t, s, healthy, refusing)
	server.Pause(t.Context(), 2*time.Second) // for what is told of the streams
	settled(t, s, healthy, refusing)
	fx.Acked = p.Acked()
	if *killedFlag {
		fillFiles(t, s)
		fx.Object = shop.hanging(t)
		server.Pause(t.Context(), 2*time.Second) // until the ledgers are on disk
	} else {
		s.Stop()
		s.Start() // with the ledgers that are on disk
	}
	for _, r := range []*drill.Receiver{healthy, paused, refusing} {
		v, err := s.Admin.Stream(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		fx.Streams[r.Name] = kept{r.ID, v.Ledger}
		t.Logf("%s: %+v", r.Name, v.Ledger)
	}
	if fx.Killed = *killedFlag; fx.Killed {
		s.Kill()
	} else {
		s.Stop()
	}
	if err := pack(filepath.Join("testdata", *fixtureFlag+".tar.gz"), s.Data, fx); err != nil {
		t.Fatal(err)
	}
}

// fixtureName is the file in the archive that says what is in it.
const fixtureName = "fixture.json"

func pack(path, data string, fx fixture) error {
	about, err := json.Marshal(fx)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(zip)
	add := func(name string, content []byte) error {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))})
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	}
	if err := add(fixtureName, about); err != nil {
		return err
	}
	err = filepath.WalkDir(data, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, ".lock") || strings.HasSuffix(file, "-shm") { // those of SQLite are made anew
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(data, file)
		if err != nil {
			return err
		}
		return add(filepath.ToSlash(name), content)
	})
	if err := errors.Join(err, w.Close(), zip.Close()); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b.Bytes(), 0o644))
}

func unpack(t *testing.T, path, data string) (fx fixture) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(zip)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return fx
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == fixtureName {
			if err := json.Unmarshal(content, &fx); err != nil {
				t.Fatal(err)
			}
			continue
		}
		file := filepath.Join(data, filepath.FromSlash(h.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}
