package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
	. "github.com/sluicelog/sluice/failpoint"
)

// play makes a server come by some points.
type play struct {
	name   string
	points []Point
	flags  []string
	// before, when it is there, is played by lives that do not die.
	before func(w *world)
	run    func(w *world)
	// after looks, when it is there, at what a stopped server has left.
	after func(w *world)
	// command says that not the server dies but what run has [world.command] run.
	command bool
	// warns are the messages with which the server rightly warns.
	warns []string
}

// plays are all there are. Each point is in one of them at least.
func plays() []play {
	return []play{
		{name: "first start", run: func(*world) {}, points: []Point{
			KeysWriting, KeysWritten, KeysSynced, KeysLinked, KeysPlaced, KeysNamed, IdentityGiven, ReserveWriting, ReserveWritten, StateCreated, StatePrepared, AdministratorGiven,
			TokenClaimed, TokenCreated, StreamClaimed, StreamCreated, SchemaWriting, SchemaWritten,
		}},
		{name: "events", run: postAll, points: []Point{
			BlockWriting, BlockWritten, BlockZeroed, BlockSynced, SegmentCreated, SegmentAllocated, SegmentNamed, AnchorWriting, AnchorWritten,
			CommitBeginning, CommitWriting, CommitWritten, MarkWriting, MarkWritten, SendBeginning, SendAnswered, CursorWriting, CursorWritten, TailWriting, TailWritten,
			OutboxTold, OutboxSettled, NamespaceNumbered, NamespaceLearned, LearnerWritten,
		}},
		{name: "files", flags: []string{"--retention-bytes-audit", "8MiB"}, run: fillFiles, points: []Point{
			SegmentCreated, SegmentAllocated, SegmentNamed, FooterWriting, FooterWritten, FooterCut, FooterSynced, SegmentTrimming, SegmentUnlinked, SegmentForgotten,
		}},
		{name: "refusals", run: refuse, warns: []string{"event quarantined"}, points: []Point{QuarantineCopied, QuarantineListed, QuarantineLeft, QuarantineErased}},
		{name: "bucket", run: fillBucket, points: []Point{ObjectBuilding, ObjectBuilt, UploadBeginning, UploadAnswered, ObjectErased}},
		{name: "keys", before: (*world).begin, run: turnKeys, points: []Point{
			KeysWriting, KeysWritten, KeysSynced, KeysPlaced, KeysNamed, RotationTold, RotationDone, ResealDone, PruneTold,
		}},
		{name: "people", before: (*world).begin, run: people, points: []Point{
			UserClaimed, UserCreated, SessionCreated, SessionEnded, TokenClaimed, TokenCreated, TokenRevoked, RecordBuried,
		}},
		{name: "streams", before: (*world).begin, run: comeAndGo, points: []Point{
			StreamClaimed, StreamCreated, StreamRenaming, StreamRenamed, DeletionStored, StreamErasing, StreamErased, DeletionDelivered,
			DeletionTold, DeletionReleased, OutboxTold, OutboxSettled, RecordBuried,
		}},
		{name: "index", run: fillIndex, points: []Point{IndexWriting, IndexWritten}},
		{name: "damaged index", before: damageIndex, run: findAll, warns: []string{"search index is made anew"}, points: []Point{IndexRenewed, IndexSwitched, IndexErased, IndexUnlinked}},
		{name: "snapshot", run: snapshots, after: wholeSnapshots, points: []Point{CopyWritten, SnapshotCopied, SnapshotNamed, SnapshotDropped}},
		{name: "upgrade", before: goBack, run: postAll, points: []Point{SchemaWriting, SchemaWritten}},
		{name: "left tail", before: leaveTail, run: postAll, points: []Point{EndSynced, RestCut, RestSynced}},
		{name: "left empty file", before: leaveEmpty, run: fillOne, points: []Point{SegmentDiscarded}},
		{name: "restore control state", before: damageControl, run: restoreControl, command: true, points: []Point{
			CommitBeginning, CommitWriting, CommitWritten, ReplacementMade, ReplacedAside, ReplacedGone, ReplacementNamed,
		}},
		{name: "backup", before: (*world).begin, run: backUp, command: true, points: []Point{
			CopyWritten, FileCopied, FileSynced, FileNamed, ManifestWritten, ManifestNamed, BackupSwept,
		}},
		{name: "restore", before: haveBackup, run: restoreBackup, command: true, points: []Point{
			FileCopied, FileSynced, FileNamed, RestoreFilled, CommitBeginning, CommitWriting, CommitWritten, ReplacementMade, ReplacementNamed,
		}},
		{name: "gap", before: loseEvents, run: tellGap, warns: []string{"log is damaged", "events expired before delivery"}, points: []Point{NoticeTold}},
	}
}

// postAll posts events of both classes and of new namespaces.
func postAll(w *world) {
	w.create(w.http("to acme", "acme"))
	for i := range 6 {
		w.post(post{count: 30, namespace: fmt.Sprintf("acme/group-%d", i/2)})
		w.post(post{count: 5, namespace: fmt.Sprintf("acme/group-%d/project-%d", i/2, i)})
	}
}

// fillFiles posts more than some files hold, so that the oldest are removed.
func fillFiles(w *world) {
	for range 14 {
		w.post(post{count: 60, size: 24 << 10, audit: true})
	}
	w.await("that old files are removed", func(context.Context) error {
		if files, err := filepath.Glob(filepath.Join(w.Data, "log", "audit", "*.seg")); err != nil || len(files) > 3 {
			return notYetf("there are %d (%v)", len(files), err)
		}
		return nil
	})
}

// fillOne posts more than one file holds.
func fillOne(w *world) {
	for range 4 {
		w.post(post{count: 60, size: 24 << 10, audit: true})
	}
}

// snapshots has a second snapshot made in the hour of the first, which goes then;
// once more if the hour has changed between them.
func snapshots(w *world) {
	postAll(w)
	for range 2 {
		w.await("a snapshot", func(context.Context) error {
			if all, err := filepath.Glob(filepath.Join(w.Data, "snapshots", "*.db")); err != nil || len(all) == 0 {
				return notYetf("there is none (%v)", err)
			}
			return nil
		})
		time.Sleep(1100 * time.Millisecond) // names tell the second
		w.stop()
		w.start()
		if w.died {
			return
		}
	}
}

// refuse has events quarantined; one of them is redelivered and one given up.
func refuse(w *world) {
	s := w.http("to acme", "acme")
	w.create(s)
	w.post(post{count: 40, bad: 4})
	w.await("that bad events are quarantined", w.exact)
	var list []client.Quarantined
	w.do("list the quarantine", func(ctx context.Context) (err error) {
		list, err = w.Admin.Quarantine(ctx, s.id, 0)
		return err
	})
	if len(list) != 4 {
		w.Fatalf("quarantine: got %d events, want 4", len(list))
	}
	s.mu.Lock()
	s.tolerant[list[0].ID] = true
	s.mu.Unlock()
	again := func(ctx context.Context) error { return w.leave(ctx, s, list[0], w.Admin.Redeliver) }
	died := w.died
	w.do("redeliver an event", again)
	w.await("that it is delivered", func(ctx context.Context) error {
		err := w.exact(ctx)
		if err != nil && w.died != died { // who was to deliver it has died
			died = w.died
			return errors.Join(err, again(ctx))
		}
		return err
	})
	s.dropped[list[1].ID] = true
	w.do("give an event up", func(ctx context.Context) error { return w.leave(ctx, s, list[1], w.Admin.Drop) })
}

// leave has an event leave the quarantine, if it is there: who is asked may have
// died before the answer.
func (w *world) leave(ctx context.Context, s *stream, q client.Quarantined, act func(context.Context, sluice.StreamID, client.QuarantineAct) (int, error)) error {
	list, err := w.Admin.Quarantine(ctx, s.id, 0)
	if err != nil || !slices.ContainsFunc(list, func(o client.Quarantined) bool { return o.EventRef == q.EventRef }) {
		return err
	}
	_, err = act(ctx, s.id, client.QuarantineAct{Events: []client.EventRef{q.EventRef}})
	return err
}

// turnKeys makes new sealing keys and removes the old ones.
func turnKeys(w *world) {
	for i := range 2 {
		w.create(w.http(fmt.Sprintf("sealed %d", i), "acme"))
	}
	var before client.SealingKeys
	w.do("list the keys", func(ctx context.Context) (err error) {
		before, err = w.Admin.SealingKeys(ctx)
		return err
	})
	w.do("make a new key", func(ctx context.Context) error {
		_, err := w.Admin.RotateKeys(ctx)
		return err
	})
	w.await("that everything is sealed anew", func(ctx context.Context) error {
		keys, err := w.Admin.SealingKeys(ctx)
		if err == nil && (keys.Pending > 0 || keys.Current == before.Current || keys.Values != before.Values) {
			err = notYetf("keys are %+v, were %+v", keys, before)
		}
		return err
	})
	w.do("remove old keys", func(ctx context.Context) error {
		keys, err := w.Admin.PruneKeys(ctx)
		if err == nil && len(keys.Keys) != 1 {
			err = notYetf("keys are %+v", keys)
		}
		return err
	})
	w.post(post{count: 10})
}

// comeAndGo creates, renames and deletes streams under load; names are free again.
func comeAndGo(w *world) {
	stop := w.postMeanwhile()
	for range 2 {
		s := w.http("first name", "acme")
		w.create(s)
		w.rename(s, "second name")
		other := w.http("first name", "acme")
		w.create(other)
		w.await("that something is delivered", func(context.Context) error { return other.some() })
		w.remove(s)
		w.remove(other)
	}
	stop()
	w.create(w.http("second name", "acme"))
}

// fillIndex posts more than a chunk of the index holds, and finds all of it.
func fillIndex(w *world) {
	for range 4 {
		w.post(post{count: 200})
	}
	findAll(w)
}

// findAll searches what was posted.
func findAll(w *world) {
	w.await("that a search finds everything", func(ctx context.Context) error {
		found, after := 0, ""
		for {
			page, err := w.Admin.FindEvents(ctx, client.EventQuery{Namespace: "acme", Limit: 100, After: after})
			if isStatus(err, 503) {
				return notYetf("%v", err)
			}
			if err != nil {
				return err
			}
			for i := range page.Events {
				if _, _, own, wrong := w.book.check(page.Events[i].Event); !own && wrong == "" {
					found++
				}
			}
			if after = page.Next; !page.More {
				break
			}
		}
		if found != len(w.book.events) {
			return notYetf("found %d events, want %d", found, len(w.book.events))
		}
		return nil
	})
}

// damageIndex stops the server and makes its index one that cannot be read.
func damageIndex(w *world) {
	w.begin()
	fillIndex(w)
	w.settle()
	w.stop()
	files, err := filepath.Glob(filepath.Join(w.Data, "index", "*.db"))
	if err != nil || len(files) == 0 {
		w.Fatalf("no index is there (%v)", err)
	}
	for _, file := range files {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			w.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
			w.Fatal(err)
		}
		if err := f.Close(); err != nil {
			w.Fatal(err)
		}
	}
}

// loseEvents takes a file of the log away of which a paused stream has seen
// nothing.
func loseEvents(w *world) {
	w.begin()
	s := w.http("to acme", "acme")
	w.create(s)
	w.settle()
	w.do("pause", func(ctx context.Context) error { return w.Admin.PauseStream(ctx, s.id) })
	for range 6 {
		w.post(post{count: 60, size: 24 << 10, audit: true})
	}
	w.await("that a file is closed", func(ctx context.Context) error {
		list, err := w.Admin.Streams(ctx, nil)
		if err == nil && (list[0].Ledger.Pending > 0 || len(w.told()) == 0) {
			err = notYetf("%+v", list[0].Ledger)
		}
		return err
	})
	w.stop()
	files, err := filepath.Glob(filepath.Join(w.Data, "log", "audit", "*.seg"))
	if err != nil || len(files) < 3 {
		w.Fatalf("files: got %v (%v), want 3 or more", files, err)
	}
	if err := os.Remove(files[1]); err != nil {
		w.Fatal(err)
	}
}

// tellGap resumes the stream: what is lost is told once.
func tellGap(w *world) {
	s := w.streams[1]
	w.do("resume", func(ctx context.Context) error { return w.Admin.ResumeStream(ctx, s.id) })
	w.await("that the gap is told", func(ctx context.Context) error {
		v, err := w.Admin.Stream(ctx, s.id)
		if err == nil && (v.Ledger.Expired == 0 || v.Ledger.Pending > 0) {
			err = notYetf("%+v", v.Ledger)
		}
		s.lost = int(v.Ledger.Expired)
		return err
	})
	gaps := 0
	for _, o := range w.told() {
		if o.Type == "stream.gap" && string(o.Target) == fmt.Sprint(s.id) {
			gaps++
		}
	}
	if w.died && gaps != 1 {
		w.await("that the gap is told", w.exact)
	}
}
