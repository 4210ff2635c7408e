package control

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// resealPause is the time between tries to seal what could not be sealed.
const resealPause = 5 * time.Second

// keys is the state of the rotation of sealing keys. A new key is in the key
// file before anything is sealed with it; then every value is sealed anew by a
// compare-and-set of its record; an old key leaves the file only when no stored
// value needs it. So the process may end anywhere: what is left is found at the
// next start, by the ids of keys in the values themselves.
type keys struct {
	changing sync.Mutex // held by those who change the key file
	// storing is held for reading from the sealing of a value until it is
	// stored, and for writing while keys are dropped: what an old key sealed is
	// stored, and so counted, by then. Whoever changes a stream acquires it first.
	storing sync.RWMutex
	signal  chan struct{} // there may be something to seal anew
}

func (k *keys) init() { k.signal = make(chan struct{}, 1) }

func (k *keys) wake() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// SealingKeys says which keys there are and what they seal.
type SealingKeys struct {
	Current string       `json:"current"` // id of the key that seals
	Keys    []SealingKey `json:"keys"`    // the current one first
	Values  int          `json:"values"`  // sealed values
	// Pending counts the values that the current key did not seal; the server
	// seals them anew.
	Pending int `json:"pending"`
}

// SealingKey is one key.
type SealingKey struct {
	ID      string `json:"id"`
	Current bool   `json:"current"`
	// InFile is false for a key that sealed values name and the key file lacks:
	// they cannot be read.
	InFile bool `json:"in_file"`
	Values int  `json:"values"` // that it sealed
}

// SealingKeys counts what each key seals.
func (s *Service) SealingKeys(ctx context.Context, p Principal) (SealingKeys, error) {
	if err := authorize(p, actionManageKeys, sluice.Instance); err != nil {
		return SealingKeys{}, err
	}
	return s.sealingKeys(ctx)
}

func (s *Service) sealingKeys(ctx context.Context) (SealingKeys, error) {
	counts, err := CountSealed(ctx, s.store)
	if err != nil {
		return SealingKeys{}, storeError("count sealed values", err)
	}
	out := SealingKeys{Current: s.cfg.Ring.Current()}
	inFile := s.cfg.Ring.Keys()
	for _, id := range inFile {
		if _, ok := counts[id]; !ok {
			counts[id] = 0
		}
	}
	for id, n := range counts {
		out.Keys = append(out.Keys, SealingKey{ID: id, Current: id == out.Current, InFile: slices.Contains(inFile, id), Values: n})
		if out.Values += n; id != out.Current {
			out.Pending += n
		}
	}
	slices.SortFunc(out.Keys, func(a, b SealingKey) int {
		switch {
		case a.Current || !b.Current && a.ID < b.ID:
			return -1
		}
		return 1
	})
	return out, nil
}

// sealedRecords are the prefixes of the records that hold sealed values, each in
// a member "sealed" that maps fields to values.
func sealedRecords() []string { return []string{streamRecords, noticeRecords} }

// CountSealed counts the values in control state by the id of the key that sealed
// them.
func CountSealed(ctx context.Context, from store.Store) (map[string]int, error) {
	counts := map[string]int{}
	for _, prefix := range sealedRecords() {
		for r, err := range from.List(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			var holder struct {
				Sealed fields[string] `json:"sealed"`
			}
			if err := json.Unmarshal(r.Value, &holder); err != nil {
				return nil, err
			}
			for _, sealed := range holder.Sealed {
				id, err := secret.KeyID(sealed.value)
				if err != nil {
					id = "damaged"
				}
				counts[id]++
			}
		}
	}
	return counts, nil
}

// RotateKeys makes a new sealing key, the current one from then on, and has all
// values sealed anew with it in the background; SealingKeys shows the progress.
// Old keys stay in the key file until PruneKeys.
func (s *Service) RotateKeys(ctx context.Context, p Principal) (SealingKeys, error) {
	if err := authorize(p, actionManageKeys, sluice.Instance); err != nil {
		return SealingKeys{}, err
	}
	s.keys.changing.Lock()
	defer s.keys.changing.Unlock()
	if err := s.tell(ctx, p, keyAct("secrets.rotate", "Asked for a new sealing key", map[string]any{"key": s.cfg.Ring.Current()})); err != nil {
		return SealingKeys{}, err
	}
	failpoint.Here(failpoint.RotationTold)
	if err := s.cfg.Ring.Rotate(); err != nil {
		return SealingKeys{}, errKeyFile(err)
	}
	failpoint.Here(failpoint.RotationDone)
	s.keys.wake()
	return s.sealingKeys(ctx)
}

// PruneKeys takes the keys out of the key file that no stored value needs.
func (s *Service) PruneKeys(ctx context.Context, p Principal) (SealingKeys, error) {
	if err := authorize(p, actionManageKeys, sluice.Instance); err != nil {
		return SealingKeys{}, err
	}
	s.keys.changing.Lock()
	defer s.keys.changing.Unlock()
	if err := s.reseal(ctx); err != nil {
		return SealingKeys{}, storeError("seal anew", err)
	}
	s.keys.storing.Lock()
	defer s.keys.storing.Unlock()
	use, err := s.sealingKeys(ctx)
	if err != nil {
		return SealingKeys{}, err
	}
	var unused []string
	for _, k := range use.Keys {
		if k.InFile && !k.Current && k.Values == 0 {
			unused = append(unused, k.ID)
		}
	}
	if len(unused) == 0 {
		return use, nil
	}
	if err := s.tell(ctx, p, keyAct("secrets.prune", "Asked to remove unused sealing keys", map[string]any{"keys": unused})); err != nil {
		return SealingKeys{}, err
	}
	failpoint.Here(failpoint.PruneTold)
	if err := s.cfg.Ring.Drop(unused...); err != nil {
		return SealingKeys{}, errKeyFile(err)
	}
	use.Keys = slices.DeleteFunc(use.Keys, func(k SealingKey) bool { return slices.Contains(unused, k.ID) })
	return use, nil
}

func keyAct(eventType, message string, fields map[string]any) act {
	return act{Type: eventType, Namespace: sluice.Instance, TargetType: "SealingKey", Target: "key file", Message: message, Fields: fields}
}

// errKeyFile tells an administrator of the instance, who owns the file, why it
// could not be changed.
func errKeyFile(err error) error {
	e := sluice.Errorf(sluice.Internal, "the key file was not changed: %v", err)
	if errors.Is(err, fs.ErrNotExist) {
		return e.WithHint("do not stop the server, which still has the keys: put a key file there, your copy or that of a new server, and rotate again: that writes them into it")
	}
	return e.WithHint("the server must be able to write the file and its folder; nothing is lost")
}

// runReseal seals anew what the current key did not seal: at the start, when a
// rotation may have been cut short, and after each rotation, until ctx ends.
func (s *Service) runReseal(ctx context.Context) {
	for {
		var again <-chan time.Time
		if err := s.reseal(ctx); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "values not sealed anew yet", "err", err)
			again = time.After(resealPause)
		}
		select {
		case <-s.keys.signal:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// reseal seals with the current key every value that another one sealed. Values
// that cannot be read stay as they are.
func (s *Service) reseal(ctx context.Context) error {
	var errs []error
	for _, st := range s.streams.list() {
		if !s.stale(st.record().Sealed) {
			continue
		}
		if err := s.resealStream(ctx, st); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(append(errs, s.resealNotices(ctx))...)
}

// stale reports whether another key than the current one sealed any of the
// values, and that key is at hand.
func (s *Service) stale(sealed fields[string]) bool {
	current := s.cfg.Ring.Current()
	var known []string
	for _, field := range sealed {
		id, err := secret.KeyID(field.value)
		if err != nil || id == current {
			continue
		}
		if known == nil {
			known = s.cfg.Ring.Keys()
		}
		if slices.Contains(known, id) {
			return true
		}
	}
	return false
}

func (s *Service) resealStream(ctx context.Context, st *stream) error {
	free, err := st.acquire(ctx)
	if err != nil {
		return err
	}
	defer free()
	s.keys.storing.RLock()
	defer s.keys.storing.RUnlock()
	_, err = s.amendAcquired(ctx, st, func(r *streamRecord) bool { return s.sealAnew(ctx, streamKey(st.id), r.Sealed) })
	failpoint.Here(failpoint.ResealDone)
	return err
}

// sealAnew replaces the values of a record that can be read and that the current
// key did not seal, and reports whether there were any.
func (s *Service) sealAnew(ctx context.Context, record string, sealed fields[string]) (changed bool) {
	current := s.cfg.Ring.Current()
	for i := range sealed {
		field, value := sealed[i].name, sealed[i].value
		if id, err := secret.KeyID(value); err != nil || id == current {
			continue
		}
		place := sealedPlace(record, field)
		plain, err := s.cfg.Ring.Open(value, place)
		if err != nil {
			s.logger.ErrorContext(ctx, "sealed value cannot be read", "record", record, "field", field, "err", err)
			continue
		}
		sealed[i].value, changed = s.cfg.Ring.Seal(plain, place), true
	}
	return changed
}
