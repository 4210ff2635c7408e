package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging"
	"github.com/sluicelog/sluice/destination/eventhubs"
	"github.com/sluicelog/sluice/destination/s3"
	"github.com/sluicelog/sluice/destination/splunk"
	"github.com/sluicelog/sluice/destination/webhook"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

// kinds are the destinations on offer.
func kinds() []destination.Kind {
	return []destination.Kind{webhook.Kind{}, splunk.New(), cloudlogging.New(), s3.Kind{}, eventhubs.Kind{}}
}

// parts are the opened pieces of a server, in the order of opening.
type parts struct {
	identity  identity
	store     *sqlite.Store
	snapshots *snapshots
	reserve   *reserve
	log       *eventlog.Log
	deliver   *deliver.Deliverer
	index     index.Engine
	search    *search.Service
	control   *control.Service
}

// codecs are the ways to compress the log, by name.
func codecs() map[string]eventlog.Codec {
	return map[string]eventlog.Codec{"s2": eventlog.S2, "zstd": eventlog.Zstd}
}

// Names inside the data folder.
const (
	controlFile = "control.db"
	logFolder   = "log"
	indexFolder = "index"
	spoolFolder = "spool"
)

// deliveryGrace is how long deliveries that are under way when the server stops have to
// end: one destination that hangs must not hold up the start after an upgrade.
const deliveryGrace = 2 * time.Second

// prepareData makes the data folder, or makes sure that it holds a server's
// state. It reports whether the state is new.
func prepareData(cfg *Config) (fresh bool, err error) {
	control, err := os.Stat(filepath.Join(cfg.Data, controlFile))
	if err == nil {
		return false, refuseEmpty(cfg.Data, control)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if cfg.Existing {
		return false, fmt.Errorf("%s holds no state, and --existing forbids to create it: is the disk mounted?", cfg.Data)
	}
	entries, err := os.ReadDir(cfg.Data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == logFolder }) {
		return false, adviseRestore(cfg.Data, fmt.Errorf("%s holds a log without its %s: restore that file, or choose another folder", cfg.Data, controlFile))
	}
	for _, e := range entries {
		// A first start may have ended while it made the key file, or behind the lock.
		path := filepath.Join(cfg.Data, e.Name())
		if e.Name() != "lost+found" && e.Name() != controlFile+".lock" && path != cfg.KeyPath() && path != secret.Unfinished(cfg.KeyPath()) {
			return false, fmt.Errorf("%s is not empty and holds no state of Sluice: choose an empty or absent folder", cfg.Data)
		}
	}
	return true, os.MkdirAll(cfg.Data, 0o700)
}

// emptyStore is how many bytes SQLite takes for none: it would make a new store of
// such a file, and remove the write-ahead log beside it.
const emptyStore = 1

// refuseEmpty refuses control state that was emptied: a new one would give the log
// another identity, and take everything in it for another server's.
func refuseEmpty(data string, control fs.FileInfo) error {
	if control.Size() > emptyStore || !holdsLog(data) {
		return nil // without a log, a first start has ended early
	}
	return adviseRestore(data, fmt.Errorf("%s holds a log, and its %s is empty", data, controlFile))
}

// holdsLog reports whether a data folder holds a log, or may hold one.
func holdsLog(data string) bool {
	_, err := os.Stat(filepath.Join(data, logFolder))
	return !errors.Is(err, fs.ErrNotExist)
}

// openRing opens the key file, and makes it when the state is new.
func openRing(cfg *Config, fresh bool) (*secret.Ring, error) {
	path := cfg.KeyPath()
	ring, err := secret.OpenKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if !fresh {
		return nil, fmt.Errorf("the key file %s is missing: without it the secrets of streams cannot be read; restore it from your copy (docs/drills.md says what to do when there is none)", path)
	}
	return secret.CreateKeyFile(path)
}

// identity is the record that ties control state and log together.
type identity struct {
	ID string `json:"id"`
	// Earlier are the identities before the log was restored from backups.
	Earlier []string `json:"earlier,omitempty"`
	// Restored is what the next start tells in the log.
	Restored *restored `json:"restored,omitempty"`
}

// restored says when an installation was restored, from a backup, or its control
// state, from a snapshot.
type restored struct {
	// Event is the id of the event that tells of it; the log's identity when "".
	Event string    `json:"event,omitempty"`
	At    time.Time `json:"at"`
	// MadeAt is when the backup or the snapshot was made; the zero time for what
	// could be read of a damaged file.
	MadeAt time.Time `json:"made_at"`
	// Control is true when only the control state was restored.
	Control bool `json:"control,omitempty"`
}

// ids returns the identity and the earlier ones.
func (v *identity) ids() (id eventlog.LogID, earlier []eventlog.LogID, err error) {
	for i, text := range append([]string{v.ID}, v.Earlier...) {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != len(id) {
			return id, nil, fmt.Errorf("the log's identity %q is not one", text)
		}
		if i == 0 {
			copy(id[:], b)
		} else {
			earlier = append(earlier, eventlog.LogID(b))
		}
	}
	return id, earlier, nil
}

func newLogID() (id eventlog.LogID) {
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return id
}

const (
	identityKey  = "log"
	anchorPrefix = "anchor/"
)

// errNameless says that control state has lost what it knew of the log beside it.
var errNameless = fmt.Errorf("%w: it does not know the log beside it", store.ErrDamaged)

// logIdentity returns the identity of the log in a data folder, made at random at
// the first start (or at one after it, when that ended before it was written).
func logIdentity(ctx context.Context, s store.Store, data string) (v identity, err error) {
	rec, err := s.Get(ctx, identityKey)
	if err == nil {
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			return v, fmt.Errorf("read the log's identity: %w", err)
		}
		return v, refuseForeign(data, v)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return v, err
	}
	if holdsLog(data) {
		return v, errNameless
	}
	v.ID = newLogID().String()
	value, err := json.Marshal(v)
	if err != nil {
		return v, err
	}
	return v, errors.Join(s.Apply(ctx, store.Change{Key: identityKey, Value: value})...)
}

// anchors reads the anchors and returns a function that saves them.
func anchors(ctx context.Context, s store.Store) (map[string]eventlog.Anchor, func(context.Context, string, eventlog.Anchor) error, error) {
	found := map[string]eventlog.Anchor{}
	versions := map[string]uint64{}
	for rec, err := range s.List(ctx, anchorPrefix) {
		if err != nil {
			return nil, nil, err
		}
		var a eventlog.Anchor
		if err := json.Unmarshal(rec.Value, &a); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", rec.Key, err)
		}
		name := rec.Key[len(anchorPrefix):]
		found[name], versions[name] = a, rec.Version
	}
	save := func(ctx context.Context, partition string, a eventlog.Anchor) error {
		value, err := json.Marshal(a)
		if err != nil {
			return err
		}
		var version uint64
		change := store.Change{Key: anchorPrefix + partition, Value: value, Version: versions[partition], NewVersion: &version}
		if err := errors.Join(s.Apply(ctx, change)...); err != nil {
			return err
		}
		versions[partition] = version
		return nil
	}
	return found, save, nil
}

// openParts opens everything below the surfaces. What was opened is closed again
// when a later piece fails.
func openParts(ctx context.Context, cfg *Config, lg *slog.Logger) (_ *parts, err error) {
	fresh, err := prepareData(cfg)
	if err != nil {
		return nil, err
	}
	if fresh {
		lg.InfoContext(ctx, "creating new state", "data", cfg.Data)
	}
	ring, err := openRing(cfg, fresh)
	if err != nil {
		return nil, err
	}
	p := &parts{reserve: newReserve(cfg, lg)}
	defer func() {
		if err != nil {
			err = p.reserve.advise(errors.Join(err, p.close()))
		}
	}()
	db, err := sqlite.OpenStore(filepath.Join(cfg.Data, controlFile), sqlite.Options{
		// Not before the lock is held: it may be the reserve of a server that runs.
		Locked: func() error { return p.reserve.release(ctx) },
	})
	if err != nil {
		return nil, err
	}
	p.store, p.snapshots = db, newSnapshots(cfg, db, lg)
	// Nobody else has the state open, so nobody writes the key file.
	if err := os.Remove(secret.Unfinished(cfg.KeyPath())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if err := p.openLog(ctx, cfg, lg); err != nil {
		return p, err
	}
	p.deliver = deliver.New(p.log, p.store, deliver.Options{
		Memory: int(cfg.DeliveryMemory),
		Emit:   func(ctx context.Context, n deliver.Notice) error { return p.control.Emit(ctx, n) },
		Retention: map[string]deliver.Retention{
			string(sluice.Audit): {Age: cfg.RetentionAudit, Bytes: cfg.RetentionBytesAudit},
			string(sluice.Git):   {Age: cfg.RetentionGit, Bytes: cfg.RetentionBytesGit},
		},
		Grace:  min(cfg.ShutdownTimeout, deliveryGrace),
		Spool:  filepath.Join(cfg.Data, spoolFolder),
		Logger: lg,
	})
	if err := p.deliver.Load(ctx); err != nil {
		return p, err
	}
	env := destination.Env{
		Dialer:    destination.NewDialer(destination.DialerConfig{AllowPrivate: cfg.AllowPrivateDestinations, Allow: cfg.AllowDestinations}),
		UserAgent: "Sluice/" + version(), Now: time.Now,
	}
	senders, err := noticeSenders(cfg, env)
	if err != nil {
		return p, err
	}
	if err := p.openSearch(cfg, lg); err != nil {
		return p, err
	}
	p.control = control.New(control.Config{
		Log: p.log, Store: p.store, Deliver: p.deliver, Search: p.search, Kinds: kinds(), Ring: ring,
		Env:             env,
		Senders:         senders,
		EgressAddresses: cfg.EgressAddresses,
		Rules:           destination.Rules{AllowInsecure: cfg.AllowPrivateDestinations},
		Logger:          lg,
		FreeSpace:       func() (uint64, error) { return freeSpace(cfg.Data) },
		Floor:           uint64(cfg.FreeFloor),
		RateLimit:       cfg.RateLimit,
		StreamLimit:     cfg.StreamLimit,
	})
	return p, p.control.Open(ctx)
}

// noticeSenders returns who sends notices, by kind of address.
func noticeSenders(cfg *Config, env destination.Env) (map[string]notice.Sender, error) {
	out := map[string]notice.Sender{notice.HTTP: notice.NewWeb(env, cfg.AllowPrivateDestinations)}
	if cfg.SMTPServer == "" {
		return out, nil
	}
	mail, err := notice.NewMail(cfg.mail())
	out[notice.Email] = mail
	return out, err
}

func (p *parts) openLog(ctx context.Context, cfg *Config, lg *slog.Logger) error {
	var err error
	if p.identity, err = logIdentity(ctx, p.store, cfg.Data); err != nil {
		return err
	}
	id, earlier, err := p.identity.ids()
	if err != nil {
		return err
	}
	found, save, err := anchors(ctx, p.store)
	if err != nil {
		return err
	}
	floors, err := deliver.Floors(ctx, p.store)
	if err != nil {
		return err
	}
	failpoint.Here(failpoint.IdentityGiven)
	engine, err := segment.Open(filepath.Join(cfg.Data, logFolder), segment.Options{SegmentSize: cfg.SegmentSize, Log: id, Earlier: earlier, Logger: lg})
	if err != nil {
		return err
	}
	p.log, err = eventlog.Open(ctx, engine, eventlog.Options{
		ID: id, Earlier: earlier, Anchors: found, SaveAnchor: save, Floors: floors, Codec: codecs()[cfg.Compression], Logger: lg,
	})
	return err
}

// close closes what was opened, last first.
func (p *parts) close() error {
	var errs []error
	if p.index != nil {
		errs = append(errs, p.index.Close())
	}
	if p.log != nil {
		errs = append(errs, p.log.Close())
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}
