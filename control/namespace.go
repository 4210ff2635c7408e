package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// Kinds of namespaces.
const (
	Group   = "group"
	Project = "project"
)

const namespaceRecords = "ns/"

// namespaceRecord is the durable state of a namespace. Its id never changes.
type namespaceRecord struct {
	ID   int64  `json:"id"`
	Path string `json:"path"` // as first spelled
	// Kind is what was declared, "" when the namespace was learned.
	Kind    string    `json:"kind,omitempty"`
	Created time.Time `json:"created_at"`
	outbox
}

// gone is false: a namespace stays.
func (r *namespaceRecord) gone() bool { return false }

// namespaceKey is the key of a namespace's record. A path too long for a key is
// named by its digest.
func namespaceKey(folded string) string {
	key := namespaceRecords + "=" + folded
	if len(key) <= store.MaxKey {
		return key
	}
	return namespaceRecords + "#" + digestOf(folded).String()
}

// Namespace is a group or project as callers see it.
type Namespace struct {
	ID   int64  `json:"id"`
	Path string `json:"path"`
	Kind string `json:"kind"`
}

// Namespaces lists what p may see, by path; only what lies within the path
// within, unless it is "".
func (s *Service) Namespaces(ctx context.Context, p Principal, within string) ([]Namespace, error) {
	if err := authorizeSomewhere(p, actionReadNamespaces); err != nil {
		return nil, err
	}
	within = sluice.FoldNamespace(within)
	type row struct {
		folded string
		Namespace
	}
	var rows []row
	s.namespaces.mu.RLock()
	for top, paths := range s.namespaces.within { // what others have costs nothing
		if within != "" && top != sluice.TopLevel(within) || !may(p, actionReadNamespaces, top) {
			continue
		}
		for _, folded := range paths {
			if k, ok := s.namespaces.find(folded); ok && sluice.Within(folded, within) {
				rows = append(rows, row{folded, k.view()})
			}
		}
	}
	s.namespaces.mu.RUnlock()
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.folded, b.folded) })
	out := make([]Namespace, len(rows))
	for i, r := range rows {
		out[i] = r.Namespace
	}
	return out, nil
}

// UnstoredNamespaces counts how often namespaces were met that are not stored,
// because there are too many in their top-level namespace.
func (s *Service) UnstoredNamespaces() uint64 {
	s.namespaces.mu.RLock()
	defer s.namespaces.mu.RUnlock()
	return s.namespaces.overflow
}

// DeclareNamespace creates a group or project, with the groups above it, or
// settles the kind of one that was learned.
func (s *Service) DeclareNamespace(ctx context.Context, p Principal, path, kind string) (Namespace, error) {
	if err := checkPath(path); err != nil {
		return Namespace{}, err
	}
	folded := sluice.FoldNamespace(path)
	if err := authorize(p, actionManageNamespace, folded); err != nil {
		return Namespace{}, err
	}
	if kind == "" {
		kind = Group
	}
	if kind != Group && kind != Project {
		return Namespace{}, sluice.Errorf(sluice.Invalid, "kind must be %q or %q", Group, Project)
	}
	if kind == Project && parent(folded) == "" {
		return Namespace{}, sluice.Errorf(sluice.Invalid, "a project lies in a group").WithHint("send a path such as acme/website")
	}
	s.namespaces.creating.Lock()
	defer s.namespaces.creating.Unlock()
	if err := s.declarable(folded, kind); err != nil {
		return Namespace{}, err
	}
	if err := s.namespaces.room(folded, s.cfg.MaxLearned); err != nil {
		return Namespace{}, err
	}
	if err := s.learn(ctx, withParents(nil, parent(path))); err != nil {
		return Namespace{}, storeError("store namespaces", err)
	}
	if err := s.declare(ctx, p, path, kind); err != nil {
		return Namespace{}, err
	}
	k, _ := s.namespaces.get(folded)
	return k.view(), nil
}

// declarable reports why a namespace cannot be declared beside the others.
func (s *Service) declarable(folded, kind string) error {
	if k, ok := s.namespaces.get(folded); ok {
		if k.kind != "" {
			return sluice.Errorf(sluice.Conflict, "the namespace exists and is a %s", k.kind).WithHint("its kind does not change")
		}
		if k.children && kind == Project {
			return sluice.Errorf(sluice.Conflict, "the namespace has others below it").WithHint("declare it as a group")
		}
	}
	for up := parent(folded); up != ""; up = parent(up) {
		if k, ok := s.namespaces.get(up); ok && k.kind == Project {
			return sluice.Errorf(sluice.Conflict, "%q is a project", k.path).WithHint("only groups have namespaces below them")
		}
	}
	return nil
}

// declare stores one namespace with its kind and has that told. Its parents are
// there; creating is held.
func (s *Service) declare(ctx context.Context, p Principal, path, kind string) error {
	folded := sluice.FoldNamespace(path)
	id := int64(0)
	if _, ok := s.namespaces.get(folded); !ok {
		var err error
		if id, err = store.NextID(ctx, s.store, "namespace"); err != nil {
			return storeError("number a namespace", err)
		}
	}
	rec, err := store.Update(ctx, s.store, namespaceKey(folded), func(r *namespaceRecord, found bool) error {
		if !found {
			*r = namespaceRecord{ID: id, Path: path, Created: s.now().UTC()}
		}
		if r.ID == 0 {
			return fmt.Errorf("namespace %q has no id", path)
		}
		r.Kind = kind
		r.add(s.compose(p, act{
			Type: "namespace.create", Namespace: path, TargetType: "Namespace", TargetID: r.ID, Target: r.Path,
			Message: declaredWords(folded, kind), Fields: map[string]any{"kind": kind},
		}))
		return r.room()
	})
	if err != nil {
		return storeError("store a namespace", err)
	}
	s.namespaces.put(&rec)
	s.outboxes.wake(namespaceKey(folded))
	return nil
}

func declaredWords(folded, kind string) string {
	if parent(folded) == "" {
		return "Declared an enterprise or group"
	}
	return "Declared a " + kind
}

// ensureTopLevel declares a top-level namespace that is not known yet and
// returns how it is spelled.
func (s *Service) ensureTopLevel(ctx context.Context, p Principal, path string) (string, error) {
	if path == sluice.Instance {
		return path, nil
	}
	folded := sluice.FoldNamespace(path)
	if k, ok := s.namespaces.get(folded); ok {
		return k.path, nil
	}
	if err := authorize(p, actionManageNamespace, folded); err != nil {
		return "", err
	}
	s.namespaces.creating.Lock()
	defer s.namespaces.creating.Unlock()
	if k, ok := s.namespaces.get(folded); ok {
		return k.path, nil
	}
	return path, s.declare(ctx, p, path, Group)
}

// withParents appends path and everything above it to list, from the top.
func withParents(list []string, path string) []string {
	if path == "" {
		return list
	}
	return append(withParents(list, parent(path)), path)
}

// learn stores those of the paths that are not known, with few syncs. Paths
// above others come before them. creating is held.
func (s *Service) learn(ctx context.Context, paths []string) error {
	var unknown []string
	seen := map[string]bool{}
	for _, path := range paths {
		folded := sluice.FoldNamespace(path)
		if _, ok := s.namespaces.get(folded); !ok && !seen[folded] {
			seen[folded] = true
			unknown = append(unknown, path)
		}
	}
	for batch := range slices.Chunk(unknown, learnBatch) {
		if err := s.storeLearned(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) storeLearned(ctx context.Context, paths []string) error {
	last, err := store.Update(ctx, s.store, "counter/namespace", func(v *int64, _ bool) error {
		*v += int64(len(paths))
		return nil
	})
	if err != nil {
		return fmt.Errorf("number namespaces: %w", err)
	}
	records := make([]namespaceRecord, len(paths))
	changes := make([]store.Change, len(paths))
	for i, path := range paths {
		records[i] = namespaceRecord{ID: last - int64(len(paths)-1-i), Path: path, Created: s.now().UTC()}
		value, err := json.Marshal(&records[i])
		if err != nil {
			return fmt.Errorf("encode namespace: %w", err)
		}
		changes[i] = store.Change{Key: namespaceKey(sluice.FoldNamespace(path)), Value: value}
	}
	failpoint.Here(failpoint.NamespaceNumbered)
	errs := s.store.Apply(ctx, changes...)
	failpoint.Here(failpoint.NamespaceLearned)
	for i := range records {
		if errs == nil || errs[i] == nil {
			s.namespaces.put(&records[i])
			continue
		}
		if err := s.reload(ctx, changes[i].Key, errs[i]); err != nil {
			return err
		}
	}
	return nil
}

// reload takes over a namespace that somebody else has stored.
func (s *Service) reload(ctx context.Context, key string, cause error) error {
	if !errors.Is(cause, store.ErrConflict) {
		return fmt.Errorf("store namespace: %w", cause)
	}
	rec, _, err := store.Load[namespaceRecord](ctx, s.store, key)
	if err != nil {
		return fmt.Errorf("read namespace: %w", err)
	}
	s.namespaces.put(&rec)
	return nil
}

// Organizations returns the namespaces of a name that p may see: a top-level one,
// and those that lie directly below one. Names of several tenants may be the same.
func (s *Service) Organizations(_ context.Context, p Principal, name string) ([]Namespace, error) {
	if err := authorizeSomewhere(p, actionReadNamespaces); err != nil {
		return nil, err
	}
	name = sluice.FoldNamespace(name)
	var out []Namespace
	if name == "" || strings.Contains(name, "/") {
		return out, nil
	}
	s.namespaces.mu.RLock()
	defer s.namespaces.mu.RUnlock()
	for top := range s.namespaces.within {
		if !may(p, actionReadNamespaces, top) {
			continue
		}
		if k, ok := s.namespaces.find(top); ok && top == name {
			out = append(out, k.view())
		}
		if k, ok := s.namespaces.find(top + "/" + name); ok {
			out = append(out, k.view())
		}
	}
	slices.SortFunc(out, func(a, b Namespace) int {
		return strings.Compare(sluice.FoldNamespace(a.Path), sluice.FoldNamespace(b.Path))
	})
	return out, nil
}

// maxTopLevels bounds a list of top-level namespaces.
const maxTopLevels = 1000

// TopLevels lists the top-level namespaces that p may see and whose name has a
// text in it, compared without case, by name: at most limit, which is 1 to 1,000,
// and whether there are more.
func (s *Service) TopLevels(_ context.Context, p Principal, text string, limit int) (list []Namespace, more bool, err error) {
	if err := authorizeSomewhere(p, actionReadNamespaces); err != nil {
		return nil, false, err
	}
	if limit < 1 || limit > maxTopLevels {
		return nil, false, sluice.Errorf(sluice.Invalid, "limit must be 1 to %d", maxTopLevels)
	}
	text = sluice.FoldNamespace(text)
	var found []string
	s.namespaces.mu.RLock()
	defer s.namespaces.mu.RUnlock()
	for top := range s.namespaces.within {
		if strings.Contains(top, text) && may(p, actionReadNamespaces, top) {
			found = append(found, top)
		}
	}
	slices.Sort(found)
	if more = len(found) > limit; more {
		found = found[:limit]
	}
	list = make([]Namespace, 0, len(found))
	for _, top := range found {
		if k, ok := s.namespaces.find(top); ok {
			list = append(list, k.view())
		}
	}
	return list, more, nil
}
