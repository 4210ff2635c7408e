package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// StreamPatch is a change of a stream: what is nil stays.
type StreamPatch struct {
	// Namespace, Kind and Start never change; they may be sent as they are.
	Namespace *string `json:"namespace"`
	Kind      *string `json:"kind"`
	Start     *string `json:"start"`

	Name *string `json:"name"`
	// Config replaces the members that it has; null gives one its default.
	Config json.RawMessage `json:"config"`
	// Secrets replaces those that it has; "" removes one.
	Secrets map[string]secret.Text `json:"secrets"`
	Filter  *FilterPatch           `json:"filter"`
	Until   *string                `json:"until"` // "" is never
	Strict  *bool                  `json:"strict"`
	Active  *bool                  `json:"active"`

	// Version is that of the stream the change was made for: any other one is a
	// conflict, and nothing is changed. nil is any.
	Version *uint64 `json:"version"`
}

// FilterPatch replaces the lists that it has.
type FilterPatch struct {
	EventTypes         *[]string `json:"event_types"`
	ExcludedEventTypes *[]string `json:"excluded_event_types"`
	Namespaces         *[]string `json:"namespaces"`
}

// UpdateStream changes a stream. The change takes effect between two batches.
func (s *Service) UpdateStream(ctx context.Context, p Principal, id sluice.StreamID, patch StreamPatch) (Stream, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return Stream{}, err
	}
	free, err := st.acquire(ctx)
	if err != nil {
		return Stream{}, err
	}
	defer free()
	for {
		changed, err := s.update(ctx, p, st, patch)
		if errors.Is(err, store.ErrConflict) {
			continue // an outbox was emptied meanwhile
		}
		if err != nil {
			return Stream{}, storeError("change a stream", err)
		}
		if changed {
			s.outboxes.wake(streamKey(id))
			s.apply(ctx, st)
		}
		return s.view(ctx, st.record())
	}
}

// update tries once to store a change. The stream is acquired.
func (s *Service) update(ctx context.Context, p Principal, st *stream, patch StreamPatch) (changed bool, err error) {
	s.keys.storing.RLock()
	defer s.keys.storing.RUnlock()
	key := streamKey(st.id)
	old, version, err := store.Load[streamRecord](ctx, s.store, key)
	if err != nil {
		return false, err
	}
	if old.Deleting != nil {
		return false, errNotFound()
	}
	next, err := s.patched(ctx, p, &old, patch)
	if err != nil || next == nil {
		return false, err
	}
	renamed := next.Name != old.Name && next.Name != ""
	if renamed {
		if err := s.claim(ctx, ruleName, next.nameClaim(), key); err != nil {
			if errors.Is(err, store.ErrTaken) {
				return false, errNameTaken(next.Name)
			}
			return false, err
		}
		failpoint.Here(failpoint.StreamRenaming)
	}
	if err := s.replace(ctx, key, next, version); err != nil {
		if renamed && errors.Is(err, errNotReplaced) {
			s.release(ctx, ruleName, next.nameClaim(), key)
		}
		if !errors.Is(err, errNotReplaced) {
			st.broken.Store(true)
		}
		return false, err
	}
	if next.Name != old.Name && old.Name != "" {
		failpoint.Here(failpoint.StreamRenamed)
		s.release(ctx, ruleName, old.nameClaim(), key)
	}
	st.keep(next)
	return true, nil
}

// errNotReplaced says that a record certainly is as it was.
var errNotReplaced = errors.New("the record was not changed")

// replace stores a version of a record. When the store's answer leaves open what
// is stored, it looks.
func (s *Service) replace(ctx context.Context, key string, record any, version uint64) error {
	_, err := store.Save(ctx, s.store, key, record, version)
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrConflict) {
		return errors.Join(errNotReplaced, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	r, lookup := s.store.Get(ctx, key)
	if lookup != nil {
		return err
	}
	if want, encode := json.Marshal(record); encode == nil && bytes.Equal(r.Value, want) {
		return nil
	}
	if r.Version == version {
		return errors.Join(errNotReplaced, err)
	}
	return err
}

// patched returns the record as the patch wants it, nil when that changes
// nothing.
func (s *Service) patched(ctx context.Context, p Principal, old *streamRecord, patch StreamPatch) (*streamRecord, error) {
	if err := unchangeable(old, patch); err != nil {
		return nil, err
	}
	if patch.Version != nil && *patch.Version != old.Version {
		return nil, sluice.Errorf(sluice.Conflict, "the stream was changed meanwhile").
			WithHint("it has version %d now: read it again, and repeat the change if it is still wanted", old.Version)
	}
	old.number(old)
	next := *old
	next.Events = slices.Clone(old.Events)
	next.Version++
	next.Changed = s.now().UTC()
	if err := s.patchPlain(&next, patch); err != nil {
		return nil, err
	}
	secrets, err := s.patchDestination(ctx, p, old, &next, patch)
	if err != nil {
		return nil, err
	}
	next.number(old)
	changes := difference(old, &next)
	activity := changes["active"]
	delete(changes, "active")
	if len(changes) > 0 || len(secrets) > 0 {
		next.add(s.compose(p, act{
			Type: "stream.update", Namespace: next.Namespace, TargetType: targetStream, TargetID: next.ID, Target: next.title(),
			Message: "Changed a stream", Changes: changes, Secrets: secrets,
		}))
	}
	if activity != (change{}) {
		next.add(s.composeActivity(p, &next))
	}
	if len(next.Events) == len(old.Events) {
		return nil, nil
	}
	return &next, next.room()
}

func (s *Service) composeActivity(p Principal, r *streamRecord) told {
	a := act{
		Type: "stream.resume", Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(),
		Message: "Resumed a stream",
	}
	if !r.Active {
		a.Type, a.Message = "stream.pause", "Paused a stream"
	}
	return s.compose(p, a)
}

func unchangeable(old *streamRecord, patch StreamPatch) error {
	refuse := func(field, hint string) error {
		e := sluice.Errorf(sluice.Invalid, "%s of a stream cannot be changed", field)
		return e.WithHint("%s", hint)
	}
	switch {
	case patch.Namespace != nil && sluice.FoldNamespace(*patch.Namespace) != old.scope():
		return refuse("namespace", "create a stream in the other namespace")
	case patch.Kind != nil && *patch.Kind != old.Kind:
		return refuse("kind", "create a stream of the other kind")
	case patch.Start != nil && *patch.Start != old.StartAs:
		return refuse("start", "to repeat events, create another stream with start and until")
	}
	return nil
}

// patchPlain changes what does not concern the destination.
func (s *Service) patchPlain(r *streamRecord, patch StreamPatch) error {
	if patch.Name != nil {
		if err := checkName("name", *patch.Name, sluice.MaxStreamName); err != nil {
			return err
		}
		r.Name = *patch.Name
	}
	if f := patch.Filter; f != nil {
		for _, list := range []struct {
			sent *[]string
			into *[]string
		}{{f.EventTypes, &r.Filter.EventTypes}, {f.ExcludedEventTypes, &r.Filter.ExcludedEventTypes}, {f.Namespaces, &r.Filter.Namespaces}} {
			if list.sent != nil {
				*list.into = *list.sent
			}
		}
		if err := s.checkFilter(&r.Filter, r.Namespace); err != nil {
			return err
		}
	}
	if patch.Strict != nil {
		r.Strict = *patch.Strict
	}
	if patch.Active != nil && *patch.Active != r.Active {
		r.Active, r.PausedAt = *patch.Active, time.Time{}
		if !r.Active {
			r.PausedAt = s.now().UTC()
		}
	}
	if patch.Until == nil {
		return nil
	}
	return s.patchUntil(r, *patch.Until)
}

func (s *Service) patchUntil(r *streamRecord, text string) error {
	until, err := readTime("until", text)
	if err != nil || until.Equal(r.Until) {
		return err
	}
	if !r.Until.IsZero() && !r.Until.After(s.now()) {
		return sluice.Errorf(sluice.Conflict, "the stream's until has passed").WithHint("create another stream that starts there")
	}
	if !until.IsZero() && !until.After(s.now()) {
		return sluice.Errorf(sluice.Invalid, "until must lie in the future").WithHint("pause or delete the stream to stop it now")
	}
	r.Until = until
	return nil
}

// patchDestination changes configuration and secrets. It returns the names of
// the secrets that changed.
func (s *Service) patchDestination(ctx context.Context, p Principal, old, next *streamRecord, patch StreamPatch) ([]string, error) {
	if patch.Config == nil && patch.Secrets == nil {
		return nil, nil
	}
	kind := s.kinds[old.Kind]
	if kind == nil {
		return nil, sluice.Errorf(sluice.Unsupported, "this server has no kind %q", old.Kind)
	}
	config, secrets, err := s.salvage(old)
	if err != nil {
		return nil, err
	}
	merged, err := mergeConfig(kind, config, patch.Config)
	if err != nil {
		return nil, err
	}
	after, err := mergeSecrets(kind, secrets, patch.Secrets, s.now())
	if err != nil {
		return nil, err
	}
	if knows(kind, verificationToken) && after[verificationToken] == "" {
		after[verificationToken] = rand.Text()[:24] // the one before is lost
	}
	if merged, err = s.checkConfig(ctx, p, kind, config, merged, after); err != nil {
		return nil, err
	}
	if err := keepsReceiver(kind, config, merged, secrets, patch.Secrets); err != nil {
		return nil, err
	}
	names := changedSecrets(secrets, after)
	headers, err := changedHeaders(config, merged)
	if err != nil {
		return nil, err
	}
	names = append(names, headers...)
	return names, s.seal(next, merged, after)
}

// mergeConfig replaces the members that are sent; null removes one. A stored one
// that does not go with what is sent is removed: the update names it as changed.
func mergeConfig(kind destination.Kind, config, sent json.RawMessage) (json.RawMessage, error) {
	if sent == nil {
		return config, nil
	}
	var members, changes object
	if err := json.Unmarshal(sent, &changes); err != nil {
		return nil, sluice.Errorf(sluice.Invalid, "config must be a JSON object")
	}
	if err := json.Unmarshal(config, &members); err != nil {
		return nil, err
	}
	if err := keepHeaderValues(members, changes); err != nil {
		return nil, err
	}
	for name, value := range changes {
		if members[name] = value; string(value) == "null" {
			delete(members, name)
		}
	}
	if d, ok := kind.(destination.Described); ok {
		form := d.Form()
		for name := range members {
			if _, asked := changes[name]; !asked && form.OutOfPlace(members, name) {
				delete(members, name)
			}
		}
	}
	return json.Marshal(members)
}

// keepHeaderValues gives headers that are sent without a value the one that is
// stored: that of their name, or of the header whose place they take.
func keepHeaderValues(stored, sent object) error {
	var before, now []object
	if json.Unmarshal(sent["headers"], &now) != nil || now == nil {
		return nil // nothing is sent, or what the kind refuses
	}
	if list, ok := stored["headers"]; ok {
		if err := json.Unmarshal(list, &before); err != nil {
			return err
		}
	}
	kept := false
	for i, h := range now {
		if _, ok := h["value"]; ok || h == nil {
			continue
		}
		from := slices.IndexFunc(before, func(old object) bool { return sameName(old, h) })
		if from < 0 && i < len(before) && !slices.ContainsFunc(now, func(other object) bool { return sameName(before[i], other) }) {
			from = i
		}
		if from >= 0 {
			h["value"], kept = before[from]["value"], true
		}
	}
	if !kept {
		return nil
	}
	var err error
	sent["headers"], err = json.Marshal(now)
	return err
}

// sameName reports whether two headers have the same name.
func sameName(a, b object) bool {
	var one, other string
	return json.Unmarshal(a["name"], &one) == nil && json.Unmarshal(b["name"], &other) == nil && strings.EqualFold(one, other)
}

// changedSecrets names what differs, without what rotation keeps.
func changedSecrets(old, next destination.Secrets) []string {
	var names []string
	for _, m := range []destination.Secrets{old, next} {
		for name := range m {
			if old[name] != next[name] && name != previousSecret && name != previousUntil && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func sortedNames(secrets destination.Secrets) []string {
	return slices.Sorted(maps.Keys(secrets))
}

// changedHeaders names the headers whose values differ.
func changedHeaders(old, next json.RawMessage) ([]string, error) {
	values := func(config json.RawMessage) (map[string]string, error) {
		_, headers, err := readHeaders(config)
		out := map[string]string{}
		for _, h := range headers {
			var name string
			if json.Unmarshal(h["name"], &name) == nil {
				out[strings.ToLower(name)] = string(h["value"])
			}
		}
		return out, err
	}
	before, err := values(old)
	if err != nil {
		return nil, err
	}
	after, err := values(next)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range []map[string]string{before, after} {
		for name := range m {
			if field := fieldHeaders + "." + name; before[name] != after[name] && !slices.Contains(names, field) {
				names = append(names, field)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// difference says which fields differ, the members of the configuration one by
// one. Neither record holds a secret in plain.
func difference(old, next *streamRecord) map[string]change {
	out := map[string]change{}
	add := func(field string, from, to any) {
		if !reflect.DeepEqual(from, to) {
			out[field] = change{From: from, To: to}
		}
	}
	add("name", old.Name, next.Name)
	add("strict", old.Strict, next.Strict)
	add("active", old.Active, next.Active)
	add("until", timeOrNil(old.Until), timeOrNil(next.Until))
	before, after := plainFilter(old.Filter), plainFilter(next.Filter)
	add("filter.event_types", before.EventTypes, after.EventTypes)
	add("filter.excluded_event_types", before.ExcludedEventTypes, after.ExcludedEventTypes)
	add("filter.namespaces", before.Namespaces, after.Namespaces)
	var from, to map[string]any
	_ = json.Unmarshal(old.Config, &from) // canonical; an empty one differs in nothing
	_ = json.Unmarshal(next.Config, &to)
	for _, m := range []map[string]any{from, to} {
		for name := range m {
			if !reflect.DeepEqual(from[name], to[name]) {
				out["config."+name] = change{From: maskValue(from[name]), To: maskValue(to[name])}
			}
		}
	}
	return out
}

// PauseStream stops deliveries; nothing is dropped.
func (s *Service) PauseStream(ctx context.Context, p Principal, id sluice.StreamID) (Stream, error) {
	active := false
	return s.UpdateStream(ctx, p, id, StreamPatch{Active: &active})
}

// ResumeStream lets deliveries go on from where they stopped.
func (s *Service) ResumeStream(ctx context.Context, p Principal, id sluice.StreamID) (Stream, error) {
	active := true
	return s.UpdateStream(ctx, p, id, StreamPatch{Active: &active})
}
