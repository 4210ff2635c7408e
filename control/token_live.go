package control

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sluicelog/sluice"
)

// token is a live token. It never changes, but for the time of its last use.
type token struct {
	record    tokenRecord
	principal Principal // not of a personal token
	producer  *Producer // nil of a personal token
	scopes    scopes    // of a personal token
	used      lastTime
}

// tokens holds the live tokens.
type tokens struct {
	mu     sync.RWMutex
	byHash map[digest]*token
	byID   map[string]*token

	// revoking is held while a token is revoked, so that two administrators
	// cannot revoke each other.
	revoking sync.Mutex
}

func (t *tokens) init() {
	t.byHash, t.byID = map[digest]*token{}, map[string]*token{}
}

func (t *tokens) add(tok *token, d digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byHash[d], t.byID[tok.record.ID] = tok, tok
}

func (t *tokens) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tok := t.byID[id]; tok != nil {
		delete(t.byID, id)
		if d, err := parseDigest(tok.record.Hash); err == nil {
			delete(t.byHash, d)
		}
	}
}

func (t *tokens) get(id string) *token {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

// list returns the tokens for which f holds, by number.
func (t *tokens) list(f func(*token) bool) []*token {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []*token
	for _, tok := range t.byID {
		if f(tok) {
			out = append(out, tok)
		}
	}
	slices.SortFunc(out, func(a, b *token) int { return int(a.record.Number - b.record.Number) })
	return out
}

// count counts the tokens for which f holds.
func (t *tokens) count(f func(*token) bool) (n int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, tok := range t.byID {
		if f(tok) {
			n++
		}
	}
	return n
}

func parseDigest(s string) (d digest, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, errors.New("not a digest")
	}
	copy(d[:], b)
	return d, nil
}

func (s *Service) loadTokens(ctx context.Context) error {
	for r, err := range s.store.List(ctx, tokenRecords) {
		if err != nil {
			return err
		}
		var rec tokenRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return fmt.Errorf("read record %q: %w", r.Key, err)
		}
		if rec.pending() || rec.gone() {
			s.outboxes.wake(r.Key)
		}
		if rec.gone() {
			continue
		}
		if err := s.admitToken(rec); err != nil {
			return fmt.Errorf("read record %q: %w", r.Key, err)
		}
	}
	return nil
}

// admitToken makes a stored token valid.
func (s *Service) admitToken(rec tokenRecord) error {
	d, err := parseDigest(rec.Hash)
	if err != nil {
		return err
	}
	rec.outbox = outbox{}
	tok := &token{
		record:    rec,
		principal: Principal{ID: rec.ID, Kind: rec.Kind, Namespace: sluice.FoldNamespace(rec.Namespace), Name: rec.Name, number: -rec.Number},
	}
	if rec.Kind == KindPersonal {
		if tok.scopes, err = scopesOf(rec.Scopes); err != nil {
			return err
		}
	} else {
		tok.producer = &Producer{Source: rec.ID, Namespace: rec.Namespace, limit: newBucket(cmp.Or(rec.Rate, s.cfg.RateLimit), s.now())}
	}
	tok.used.set(rec.Used)
	s.tokens.add(tok, d)
	return nil
}
