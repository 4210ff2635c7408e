package flip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// served is what came of flips under the server itself.
type served struct {
	Started  int // that the server started on
	Restored int // that it refused, until the damaged file was replaced as it said
	Ledgers  int
	Findings []string
}

// serverSeeds is where the seeds of flips under the server begin.
const serverSeeds = 1_000_000

// serve flips bits under the server itself, one after another.
func (s *source) serve(ctx context.Context, sample *sample, o *order) (out served) {
	for i := range o.Servers {
		f, err := sample.choose(serverSeeds + o.Seed - 1 + uint64(i))
		if err == nil {
			err = s.round(ctx, &f, &out)
		}
		if err != nil {
			out.Findings = append(out.Findings, fmt.Sprintf("under the server: %v: %v", &f, err))
		}
	}
	return out
}

func (s *source) round(ctx context.Context, f *flip, out *served) error {
	srv, err := newSubject(s.binary, filepath.Join(s.dir, "served"))
	if err != nil {
		return err
	}
	r := &round{source: s, flip: f, served: out, server: srv, after: fmt.Sprintf("after-%d", f.seed)}
	err = errors.Join(r.play(ctx), srv.Close())
	if err != nil && len(out.Findings) < 5 {
		fmt.Fprintf(os.Stderr, "what the server wrote:\n%s\n", srv.LifeLog())
	}
	return errors.Join(err, os.RemoveAll(srv.Data), os.Remove(srv.Config.Log))
}

// round is one flip under the server.
type round struct {
	source *source
	flip   *flip
	served *served
	server subject
	after  string          // begins the ids of events that are posted after the flip
	lost   map[string]bool // ids of events that it costs
}

func (r *round) play(ctx context.Context) error {
	f, dir := r.flip, r.server.Data
	if err := f.state.copyOf(dir, f.file, ""); err != nil {
		return err
	}
	if err := f.apply(dir); err != nil {
		return err
	}
	r.lost = map[string]bool{}
	if name, b := f.block(); b != nil {
		for _, e := range f.state.parts[name].events[b.first-1 : b.last] {
			r.lost[e.id] = true
		}
	}
	if err := r.verified(ctx); err != nil {
		return err
	}
	r.source.receiver.reset()
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.goOn(ctx); err != nil {
		return err
	}
	return r.judge(ctx)
}

// verified holds that `sluice log verify` names what a flip has hit in the log, and
// nothing when it has hit none of it.
func (r *round) verified(ctx context.Context) error {
	words, err := r.server.command(ctx, "log", "verify", "--data", r.server.Data)
	if named := err != nil && strings.Contains(words, "DAMAGE"); named != (r.flip.kind == logKind) {
		return fmt.Errorf("log verify: %v\n%s", err, words)
	}
	return nil
}

// start starts the server; where it refuses to, it does what it is told to.
func (r *round) start(ctx context.Context) error {
	if r.flip.kind == snapshotKind {
		if err := ruin(filepath.Join(r.server.Data, controlFile)); err != nil {
			return err
		}
	}
	err := r.server.Start(ctx)
	if err == nil && r.flip.kind != snapshotKind {
		r.served.Started++
		return nil
	}
	if !errors.Is(err, server.ErrEnded) {
		return fmt.Errorf("start: %w", err)
	}
	words := string(r.server.LifeLog())
	switch r.flip.kind {
	case controlKind, walKind, snapshotKind:
		if !strings.Contains(words, "sluice control restore --data "+r.server.Data) {
			return fmt.Errorf("the server refuses to start and does not say what to do:\n%s", words)
		}
		if words, err := r.server.command(ctx, "control", "restore", "--data", r.server.Data); err != nil {
			return fmt.Errorf("control restore: %w\n%s", err, words)
		}
	case keyKind:
		path := filepath.Join(r.server.Data, keyFile)
		if !strings.Contains(words, path) {
			return fmt.Errorf("the server refuses to start and does not name the key file:\n%s", words)
		}
		if err := errors.Join(os.Remove(path), copyFile(filepath.Join(r.flip.state.dir, keyFile), path)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("the server refuses to start:\n%s", words)
	}
	if err := r.server.Start(ctx); err != nil {
		return fmt.Errorf("start after that was done: %w", err)
	}
	r.served.Restored++
	return nil
}

// ruin damages the head of every page of control state but the first.
func ruin(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for at := 4096; at < len(b); at += 4096 {
		b[at] ^= 0xff
	}
	return os.WriteFile(path, b, 0o600)
}

// goOn resumes the stream that is behind, and posts.
func (r *round) goOn(ctx context.Context) error {
	streams, err := r.server.Admin.Streams(ctx, nil)
	if err != nil {
		return err
	}
	if len(streams) != 3 {
		return fmt.Errorf("got %d streams, want 3", len(streams))
	}
	for _, v := range streams {
		if v.Name == behind {
			err = r.server.Admin.ResumeStream(ctx, v.ID)
		}
	}
	if err != nil {
		return err
	}
	var events []string
	for i, kind := range types() {
		events = append(events, fmt.Sprintf(`{"id":"%s-%d","event_type":"%s","entity_path":"acme/web"}`, r.after, i, kind))
	}
	return r.server.post(ctx, events...)
}

// judge waits until everything is delivered, and compares ledgers with what arrived
// and with what the flip may have cost.
func (r *round) judge(ctx context.Context) error {
	streams, err := r.server.settled(ctx)
	if err != nil {
		return err
	}
	expired := uint64(0)
	for _, v := range streams {
		r.served.Ledgers++
		l := v.Ledger
		if l.Accepted != l.Delivered+l.Filtered+l.Pending+l.Quarantined+l.Expired {
			return fmt.Errorf("the ledger of %s does not add up: %+v", v.Name, l)
		}
		if int(l.Expired) > len(r.lost) {
			return fmt.Errorf("%s: %d events expired, and the flip has hit %d: %+v", v.Name, l.Expired, len(r.lost), l)
		}
		switch v.Name {
		case behind:
			if expired = l.Expired; int(expired) != len(r.lost) {
				return fmt.Errorf("%s: %d events expired, want the %d of the block that was hit: %+v", v.Name, l.Expired, len(r.lost), l)
			}
		case picky:
			if err := r.quarantine(ctx, &v); err != nil {
				return err
			}
		}
	}
	if err := r.told(ctx, streams, expired); err != nil {
		return err
	}
	return r.arrived()
}

// quarantine compares the copies of refused events with the events.
func (r *round) quarantine(ctx context.Context, v *client.Stream) error {
	want := map[string]string{}
	least := 0
	for _, p := range r.flip.state.parts {
		for _, e := range p.events {
			if strings.Contains(e.payload, poison) {
				want[e.id] = e.payload
				if !r.lost[e.id] {
					least++
				}
			}
		}
	}
	list, err := r.server.Admin.Quarantine(ctx, v.ID, 0)
	if err != nil {
		return err
	}
	if len(list) != int(v.Ledger.Quarantined) || len(list) < least {
		return fmt.Errorf("%d events in quarantine, want at least %d: %+v", len(list), least, v.Ledger)
	}
	for _, q := range list {
		if want[q.ID] == "" || !bytes.Contains(q.Raw, []byte(want[q.ID])) {
			return fmt.Errorf("event %s in quarantine is %s, want %q", q.ID, q.Raw, want[q.ID])
		}
	}
	return nil
}

// told waits until the log tells which events of the stream behind have expired: as
// many as its ledger says, all of the block that was hit.
func (r *round) told(ctx context.Context, streams []client.Stream, expired uint64) error {
	var id json.Number
	for _, v := range streams {
		if v.Name == behind {
			id = json.Number(fmt.Sprint(v.ID))
		}
	}
	name, b := r.flip.block()
	return server.Await(ctx, server.Patience, "the event that names the gap", func(context.Context) error {
		sum := uint64(0)
		r.source.receiver.mu.Lock()
		defer r.source.receiver.mu.Unlock()
		for _, payload := range r.source.receiver.got[behind] {
			var e struct {
				Type    string      `json:"event_type"`
				Target  json.Number `json:"target_id"`
				Details struct {
					Partition string `json:"partition"`
					First     uint64 `json:"first_seq"`
					Last      uint64 `json:"last_seq"`
					Events    uint64 `json:"events"`
				} `json:"details"`
			}
			if !strings.Contains(payload, `"stream.gap"`) || json.Unmarshal([]byte(payload), &e) != nil || e.Type != "stream.gap" || e.Target != id {
				continue
			}
			d := e.Details
			if b == nil || d.Partition != name || d.First < b.first || d.First > b.last {
				return fmt.Errorf("the log tells of a gap where nothing was hit: %s", payload)
			}
			sum += d.Events
		}
		if sum != expired {
			return fmt.Errorf("the log tells of %d expired events, the ledger of %d", sum, expired)
		}
		return nil
	})
}

// arrived holds that the stream behind got every event but the lost ones, unchanged.
func (r *round) arrived() error {
	got, bad := r.source.receiver.reset()
	for _, what := range bad {
		return errors.New(what)
	}
	posted := 0
	for id := range got[behind] {
		if strings.HasPrefix(id, r.after) {
			posted++
		}
	}
	if posted != len(types()) {
		return fmt.Errorf("%d of %d events that were posted after the flip arrived", posted, len(types()))
	}
	for _, p := range r.flip.state.parts {
		for _, e := range p.events {
			arrived, there := got[behind][e.id]
			switch {
			case there == r.lost[e.id]:
				return fmt.Errorf("event %s: arrived %v, lost with the block %v", e.id, there, r.lost[e.id])
			case there && arrived != e.payload:
				return fmt.Errorf("event %s arrived as %.200q, want %.200q", e.id, arrived, e.payload)
			}
			for _, stream := range []string{everything, picky} {
				if again, there := got[stream][e.id]; there && again != e.payload {
					return fmt.Errorf("event %s arrived at %s as %.200q, want %.200q", e.id, stream, again, e.payload)
				}
			}
		}
	}
	return nil
}
