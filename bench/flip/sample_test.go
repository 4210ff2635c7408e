package flip

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicelog/sluice/client"
)

// Names of the streams.
const (
	everything = "everything" // has delivered all there was
	behind     = "behind"     // paused since before the first event
	picky      = "picky"      // has an event in quarantine, and sealed secrets
)

// sample is the data of a server, in two states.
type sample struct {
	dir    string
	states []*state
}

// Names of the states, and of their folders in a sample.
const (
	stopped = "stopped" // as an operator does it
	killed  = "killed"
)

// openSample opens the sample in a folder.
func openSample(ctx context.Context, dir string) (*sample, error) {
	s := &sample{dir: dir}
	for _, name := range []string{stopped, killed} {
		st, err := openState(ctx, filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.close())
		}
		s.states = append(s.states, st)
	}
	return s, nil
}

func (s *sample) close() error {
	var errs []error
	for _, st := range s.states {
		errs = append(errs, st.close())
	}
	return errors.Join(errs...)
}

// source is who made a sample: its server, and where its streams deliver.
type source struct {
	dir      string
	binary   string
	receiver *receiver
}

// newSource makes a sample in dir, or goes on with the one that is there.
func newSource(ctx context.Context, binary, dir string) (*source, error) {
	s := &source{dir: dir, binary: binary}
	address, _ := os.ReadFile(filepath.Join(dir, "receiver")) // absent before the first time
	var err error
	if s.receiver, err = newReceiver(string(address)); err != nil {
		return nil, fmt.Errorf("listen where the streams of the sample deliver: %w", err)
	}
	if len(address) == 0 {
		err = s.make(ctx)
	}
	return s, err
}

// make has a server write the data.
func (s *source) make(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	srv, err := newSubject(s.binary, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	w := &writer{server: srv, receiver: s.receiver, random: rand.New(rand.NewPCG(1, 1))}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"start", srv.start},
		{"make streams", w.streams},
		{"post", func(ctx context.Context) error { return w.post(ctx, 40) }},
		{"stop", func(context.Context) error { return srv.Stop() }},
		{"age the snapshot", func(context.Context) error { return age(data) }},
		{"start again", func(ctx context.Context) error {
			srv.Args = []string{"--compression", "zstd"}
			return srv.start(ctx)
		}},
		{"rotate keys", func(ctx context.Context) error { _, err := srv.Admin.RotateKeys(ctx); return err }},
		{"post again", func(ctx context.Context) error { return w.post(ctx, 30) }},
		{"deliver", func(ctx context.Context) error { _, err := srv.settled(ctx); return err }},
		{"stop again", func(context.Context) error { return srv.Stop() }},
		{"copy", func(context.Context) error { return copyAll(data, filepath.Join(s.dir, stopped)) }},
		{"start a third time", srv.start},
		{"post more", func(ctx context.Context) error { return w.post(ctx, 6) }},
		{"kill", func(context.Context) error { return srv.Kill() }},
		{"move", func(context.Context) error { return os.Rename(data, filepath.Join(s.dir, killed)) }},
		{"leave an object", func(context.Context) error { // as a kill does whose object was under way
			return os.WriteFile(filepath.Join(s.dir, killed, "spool", "object-7"), bytes.Repeat([]byte("left"), 1000), 0o600)
		}},
		{"note the address", func(context.Context) error {
			return os.WriteFile(filepath.Join(s.dir, "receiver"), []byte(s.receiver.address), 0o600)
		}},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w\n%s", step.what, err, srv.LifeLog())
		}
	}
	return nil
}

// age makes the snapshot one of an earlier hour, so that it is kept beside the next.
func age(data string) error {
	names, err := filepath.Glob(filepath.Join(data, "snapshots", "control-*.db"))
	if err != nil || len(names) != 1 {
		return fmt.Errorf("got snapshots %q, want one (%v)", names, err)
	}
	earlier := time.Now().Add(-3 * time.Hour).UTC().Format("control-20060102T150405Z.db")
	return os.Rename(names[0], filepath.Join(data, "snapshots", earlier))
}

// writer makes what is in the sample.
type writer struct {
	server   subject
	receiver *receiver
	random   *rand.Rand
	made     int
}

// streams makes the three streams.
func (w *writer) streams(ctx context.Context) error {
	paused := false
	for _, spec := range []client.StreamSpec{
		{Name: everything},
		{Name: behind, Active: &paused},
		{Name: picky, Namespace: "acme", Secrets: map[string]string{"signing_secret": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}},
	} {
		config := map[string]any{"url": "http://" + w.receiver.address + "/" + spec.Name, "format": "ndjson"}
		if spec.Name == picky {
			config["headers"] = []map[string]any{{"name": "X-Sealed", "value": "sealed header", "active": true}}
		}
		text, err := json.Marshal(config)
		if err != nil {
			return err
		}
		spec.Kind, spec.Start, spec.Config = "http", "earliest", text
		if _, err := w.server.Admin.CreateStream(ctx, spec); err != nil {
			return fmt.Errorf("create %s: %w", spec.Name, err)
		}
	}
	return nil
}

// post posts n large requests, with small ones between them: each is a block, in
// either partition.
func (w *writer) post(ctx context.Context, n int) error {
	for i := range n {
		large := make([]string, 20+w.random.IntN(24))
		for j := range large {
			large[j] = w.event(4000 + w.random.IntN(12000))
		}
		if err := w.server.post(ctx, large...); err != nil {
			return err
		}
		small := make([]string, 1+w.random.IntN(6))
		for j := range small {
			small[j] = w.event(w.random.IntN(100))
		}
		if i%10 == 3 {
			small = append(small, w.poisoned())
		}
		if err := w.server.post(ctx, small...); err != nil {
			return err
		}
	}
	return nil
}

// Vocabulary of the events.
func types() []string {
	return []string{"user.add", "git.push", "project.create", "git.clone"}
}

func paths() []string {
	return []string{"acme/web", "acme/api", "globex/web", "initech/ops"}
}

func words() []string { return []string{"apple", "birch", "cedar", "dahlia", "elder"} }

// event makes an event with so many bytes that no compression makes smaller.
func (w *writer) event(size int) string { return w.eventWith(size, "") }

func (w *writer) poisoned() string { return w.eventWith(20, poison+",") }

func (w *writer) eventWith(size int, more string) string {
	w.made++
	pick := func(list []string) string { return list[w.random.IntN(len(list))] }
	noise := make([]byte, size/2)
	for i := range noise {
		noise[i] = byte(w.random.Uint32())
	}
	path := pick(paths())
	if more != "" {
		path = paths()[0]
	}
	return fmt.Sprintf(`{"id":"e%d","event_type":"%s","entity_path":"%s","author_name":"user%d",%s"custom_message":"%s","noise":"%s"}`,
		w.made, pick(types()), path, w.random.IntN(9), more, pick(words()), hex.EncodeToString(noise))
}

// copyAll copies a folder with everything in it.
func copyAll(from, to string) error {
	return errors.Join(os.CopyFS(to, os.DirFS(from)), tighten(to))
}

// tighten gives a copied folder the modes that the server asks for.
func tighten(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		case strings.HasSuffix(path, ".key"):
			return os.Chmod(path, 0o600)
		}
		return nil
	})
}
