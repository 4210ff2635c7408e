package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/store"
)

const (
	noticeRecords = "notice/"
	// maxAddresses bounds the addresses of a namespace.
	maxAddresses = 10
	// fieldAddresses is the sealed list of addresses: a URL that takes notices is
	// often a credential.
	fieldAddresses = "addresses"
)

// noticeRecord says who is told when streams of a top-level namespace, or of the
// instance, change their state.
type noticeRecord struct {
	Namespace string         `json:"namespace"` // as declared
	Sealed    fields[string] `json:"sealed,omitempty"`
	outbox
}

// gone is false: an empty record stays.
func (r *noticeRecord) gone() bool { return false }

func noticeKey(scope string) string { return noticeRecords + "=" + scope }

// Address is where notices go.
type Address struct {
	Kind    string `json:"kind"`    // notice.HTTP or notice.Email
	Address string `json:"address"` // a URL or an e-mail address
}

// Format prints the kind alone, whatever the verb: the address may be a secret.
func (a Address) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.Kind+" address") }

// name identifies the address where it must not be shown.
func (a Address) name() string { return digestOf(a.Kind + " " + a.Address).String()[:16] }

// NoticeSettings are the addresses of a namespace.
type NoticeSettings struct {
	Namespace string    `json:"namespace"`
	Addresses []Address `json:"addresses"`
}

// notices holds the addresses, and which streams have notices to send.
type notices struct {
	changing sync.Mutex // held from the change of a record until it is known

	mu      sync.RWMutex
	byScope map[string][]Address // by folded namespace; never changed in place

	waiting sync.Mutex
	streams map[sluice.StreamID]bool // that have something to send
	sending map[sluice.StreamID]bool // whose notices are on their way: each is sent by one at a time
	// outcomes are those of sends that could not be stored, by notice and address:
	// what was sent is not sent again because of that.
	outcomes map[sluice.StreamID]map[string]noticeTry
	signal   chan struct{}
	tests    *noticeLimits // of those that people ask for
}

func (n *notices) init(s *Service) {
	n.byScope, n.signal, n.tests = map[string][]Address{}, make(chan struct{}, 1), newNoticeLimits(s)
	n.streams, n.sending, n.outcomes = map[sluice.StreamID]bool{}, map[sluice.StreamID]bool{}, map[sluice.StreamID]map[string]noticeTry{}
}

func (n *notices) get(scope string) []Address {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.byScope[scope]
}

func (n *notices) set(scope string, list []Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byScope[scope] = list; len(list) == 0 {
		delete(n.byScope, scope)
	}
}

// wake has the notices of a stream sent soon.
func (n *notices) wake(id sluice.StreamID) {
	n.waiting.Lock()
	n.streams[id] = true
	n.waiting.Unlock()
	n.poke()
}

func (n *notices) poke() {
	select {
	case n.signal <- struct{}{}:
	default:
	}
}

func (s *Service) loadNotices(ctx context.Context) error {
	for r, err := range s.store.List(ctx, noticeRecords) {
		if err != nil {
			return err
		}
		var rec noticeRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return fmt.Errorf("read record %q: %w", r.Key, err)
		}
		if rec.pending() {
			s.outboxes.wake(r.Key)
		}
		list, err := s.openAddresses(&rec)
		if err != nil {
			// Nobody is told, which must not keep events from being delivered.
			s.logger.ErrorContext(ctx, "addresses of notices cannot be read: set them again", "namespace", rec.Namespace, "err", err)
			continue
		}
		s.notices.set(sluice.FoldNamespace(rec.Namespace), list)
	}
	for _, st := range s.streams.list() {
		if len(st.record().fares().Notices) > 0 {
			s.notices.wake(st.id)
		}
	}
	return nil
}

func (s *Service) openAddresses(r *noticeRecord) ([]Address, error) {
	sealed, ok := r.Sealed.get(fieldAddresses)
	if !ok {
		return nil, nil
	}
	plain, err := s.cfg.Ring.Open(sealed, sealedPlace(noticeKey(sluice.FoldNamespace(r.Namespace)), fieldAddresses))
	if err != nil {
		return nil, err
	}
	var list []Address
	return list, json.Unmarshal(plain, &list)
}

// Notices returns who is told when the streams of a top-level namespace, or with
// "" of the instance, change their state.
func (s *Service) Notices(_ context.Context, p Principal, namespace string) (NoticeSettings, error) {
	scope, err := noticeScope(p, namespace)
	if err != nil {
		return NoticeSettings{}, err
	}
	return NoticeSettings{Namespace: namespace, Addresses: append([]Address{}, s.notices.get(scope)...)}, nil
}

func noticeScope(p Principal, namespace string) (string, error) {
	scope := sluice.FoldNamespace(namespace)
	if err := authorize(p, actionManageNotices, scope); err != nil {
		return "", err
	}
	return scope, checkTopLevel(namespace)
}

// SetNotices replaces the addresses of a namespace, ten at most.
func (s *Service) SetNotices(ctx context.Context, p Principal, namespace string, addresses []Address) (NoticeSettings, error) {
	scope, err := noticeScope(p, namespace)
	if err != nil {
		return NoticeSettings{}, err
	}
	if err := s.checkAddresses(ctx, addresses); err != nil {
		return NoticeSettings{}, err
	}
	if namespace, err = s.ensureTopLevel(ctx, p, namespace); err != nil {
		return NoticeSettings{}, err
	}
	if err := s.storeNotices(ctx, p, scope, namespace, addresses); err != nil {
		return NoticeSettings{}, storeError("store addresses", err)
	}
	return s.Notices(ctx, p, namespace)
}

func (s *Service) checkAddresses(ctx context.Context, addresses []Address) error {
	if len(addresses) > maxAddresses {
		return sluice.Errorf(sluice.Invalid, "a namespace has at most %d addresses for notices", maxAddresses).WithHint("use a mailing list or a channel")
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	for i, a := range addresses {
		sender, err := s.sender(a.Kind)
		if err != nil {
			return err
		}
		if err := sender.Check(ctx, a.Address); err != nil {
			return err
		}
		if slices.Contains(addresses[:i], a) {
			return sluice.Errorf(sluice.Invalid, "an address is there twice").WithHint("name each once")
		}
	}
	return nil
}

func (s *Service) sender(kind string) (notice.Sender, error) {
	if sender := s.cfg.Senders[kind]; sender != nil {
		return sender, nil
	}
	if kind == notice.Email {
		return nil, sluice.Errorf(sluice.Invalid, "this server sends no e-mails").WithHint("its operator has to set smtp-server and smtp-from")
	}
	return nil, sluice.Errorf(sluice.Invalid, "there is no kind of address %q", short(kind)).
		WithHint("kind is one of %s", strings.Join(slices.Sorted(maps.Keys(s.cfg.Senders)), ", "))
}

func (s *Service) storeNotices(ctx context.Context, p Principal, scope, namespace string, addresses []Address) error {
	s.notices.changing.Lock()
	defer s.notices.changing.Unlock()
	s.keys.storing.RLock()
	defer s.keys.storing.RUnlock()
	plain, err := json.Marshal(addresses)
	if err != nil {
		return err
	}
	key := noticeKey(scope)
	kinds := map[string]int{}
	for _, a := range addresses {
		kinds[a.Kind]++
	}
	_, err = store.Update(ctx, s.store, key, func(r *noticeRecord, _ bool) error {
		r.Namespace, r.Sealed = namespace, fields[string]{{fieldAddresses, s.cfg.Ring.Seal(plain, sealedPlace(key, fieldAddresses))}}
		if len(addresses) == 0 {
			r.Sealed = nil
		}
		r.add(s.compose(p, act{
			Type: "notice.update", Namespace: namespace, TargetType: "Notices", Target: namespace, Message: "Changed who is told about the states of streams",
			Fields: map[string]any{"addresses": kinds}, Secrets: []string{fieldAddresses},
		}))
		return r.room()
	})
	if err != nil {
		s.rereadNotices(ctx, scope)
		return err
	}
	s.notices.set(scope, slices.Clone(addresses))
	s.outboxes.wake(key)
	return nil
}

// rereadNotices follows a change of which the store did not say whether it was done:
// addresses that it may have taken out must get no notices any more.
// notices.changing is held.
func (s *Service) rereadNotices(ctx context.Context, scope string) {
	s.reread(ctx, noticeKey(scope), &s.notices.changing, func(ctx context.Context) error {
		rec, _, err := store.Load[noticeRecord](ctx, s.store, noticeKey(scope))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		s.outboxes.wake(noticeKey(scope))
		list, err := s.openAddresses(&rec)
		if err != nil { // no key for them: reading again does not help
			s.logger.ErrorContext(ctx, "addresses of notices cannot be read: set them again", "namespace", rec.Namespace, "err", err)
			return nil
		}
		s.notices.set(scope, list)
		return nil
	})
}

// resealNotices seals the addresses with the current key.
func (s *Service) resealNotices(ctx context.Context) error {
	var stale []string
	for r, err := range s.store.List(ctx, noticeRecords) {
		if err != nil {
			return err
		}
		var rec noticeRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return err
		}
		if s.stale(rec.Sealed) {
			stale = append(stale, r.Key)
		}
	}
	s.keys.storing.RLock()
	defer s.keys.storing.RUnlock()
	var errs []error
	for _, key := range stale {
		_, err := store.Update(ctx, s.store, key, func(r *noticeRecord, found bool) error {
			if !found || !s.sealAnew(ctx, key, r.Sealed) {
				return errNothing
			}
			return nil
		})
		if !errors.Is(err, errNothing) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// errNothing ends an update that has nothing to change.
var errNothing = errors.New("nothing to change")

// NoticeTest is the outcome of a test notice to one address.
type NoticeTest struct {
	Kind    string `json:"kind"`
	OK      bool   `json:"ok"`
	Message string `json:"message"`
}

// TestNotices sends a test notice to each address of a namespace, once. They are
// bounded as other notices are: an owner chooses the addresses, of whomever.
func (s *Service) TestNotices(ctx context.Context, p Principal, namespace string) ([]NoticeTest, error) {
	scope, err := noticeScope(p, namespace)
	if err != nil {
		return nil, err
	}
	if err := s.checks.enter(scope); err != nil {
		return nil, err
	}
	defer s.checks.leave(scope)
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	addresses := s.notices.get(scope)
	if wait := s.notices.tests.take(scope, len(addresses)); wait > 0 {
		e := sluice.Errorf(sluice.RateLimited, "too many test notices were sent")
		e.Wait = wait
		return nil, e.WithHint("there may be %d at once and %d an hour, one for each address", noticeBurst, noticesAnHour)
	}
	out := make([]NoticeTest, len(addresses))
	now := s.now().UTC()
	n := notice.Notice{ID: newEventID(now), Type: "stream.test", Time: now, Stream: notice.Stream{Name: "test", Namespace: namespace, Kind: "none"},
		Reason: "this is a test", Advice: "nothing"}
	var wg sync.WaitGroup
	for i, a := range addresses {
		wg.Go(func() {
			out[i] = NoticeTest{Kind: a.Kind, OK: true, Message: "taken"}
			if err := s.send(ctx, a, n); err != nil {
				out[i].OK, out[i].Message = false, err.Error()
			}
		})
	}
	wg.Wait()
	return out, s.tell(context.WithoutCancel(ctx), p, act{
		Type: "notice.test", Namespace: namespace, TargetType: "Notices", Target: namespace, Message: "Sent a test notice", Fields: map[string]any{"results": out},
	})
}

// send sends a notice to an address once.
func (s *Service) send(ctx context.Context, a Address, n notice.Notice) error {
	sender, err := s.sender(a.Kind)
	if err != nil {
		return err
	}
	return sender.Send(ctx, a.Address, n)
}
