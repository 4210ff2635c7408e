package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"sync"
	"time"

	"github.com/sluicelog/sluice/secret"
)

// Limits of what is held for forms.
const (
	heldLife     = 30 * time.Minute
	maxHeld      = 256      // forms
	maxHeldEach  = 16       // forms of a user, whatever the session
	maxHeldBytes = 96 << 10 // of one form
)

// held keeps what was entered into a form and must not stand in a page: secrets
// and header values, while the form goes back and forth. They stay in memory, for
// half an hour after the last time, and only the session that entered them can
// use them. Of a form that was done it keeps that alone, for as long: one that
// comes again is told from one whose values were forgotten. It may be used by
// several goroutines at once.
type held struct {
	mu    sync.Mutex
	forms map[heldKey]*heldForm
}

// holder is a session of a user.
type holder struct{ user, session string }

type heldKey struct {
	holder
	number string
}

type heldForm struct {
	values map[string]secret.Text // by the name of the field; never changed; nil when the form was done
	until  time.Time
}

func newHeld() *held { return &held{forms: map[heldKey]*heldForm{}} }

// get returns what is held for a form. Callers do not change it.
func (h *held) get(by holder, number string) map[string]secret.Text {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep(time.Now())
	if f := h.forms[heldKey{by, number}]; f != nil {
		return f.values
	}
	return nil
}

// keep holds the values under a number, "" for a new one, and returns the number;
// "" when there is nothing to hold, or too much.
func (h *held) keep(by holder, number string, values map[string]secret.Text) string {
	size := 0
	for name, text := range values {
		size += len(name) + len(text.Reveal())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.sweep(now)
	key := heldKey{by, number}
	if size == 0 || size > maxHeldBytes {
		delete(h.forms, key)
		return ""
	}
	if h.forms[key] == nil {
		key.number = rand.Text()
		h.makeRoom(by.user)
	}
	h.forms[key] = &heldForm{values: maps.Clone(values), until: now.Add(heldLife)}
	return key.number
}

// lost reports whether something was held for the form that is forgotten now, so
// that what the form shows as entered would be left out. A form without a number
// had nothing.
func (h *held) lost(by holder, number string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep(time.Now())
	return number != "" && h.forms[heldKey{by, number}] == nil
}

// drop forgets what is held for a form, which was done.
func (h *held) drop(by holder, number string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.forms[heldKey{by, number}]; f != nil {
		h.forms[heldKey{by, number}] = &heldForm{until: f.until}
	}
}

// sweep forgets what is too old. It is locked.
func (h *held) sweep(now time.Time) {
	maps.DeleteFunc(h.forms, func(_ heldKey, f *heldForm) bool { return !now.Before(f.until) })
}

// makeRoom forgets the oldest form of the user when that has too many, so that
// nobody pushes out what others entered, and the oldest of all when there are too
// many. It is locked.
func (h *held) makeRoom(user string) {
	own := 0
	var oldest, oldestOwn heldKey
	for key, f := range h.forms {
		if oldest == (heldKey{}) || f.until.Before(h.forms[oldest].until) {
			oldest = key
		}
		if key.user != user {
			continue
		}
		own++
		if oldestOwn == (heldKey{}) || f.until.Before(h.forms[oldestOwn].until) {
			oldestOwn = key
		}
	}
	switch {
	case own >= maxHeldEach:
		delete(h.forms, oldestOwn)
	case len(h.forms) >= maxHeld:
		delete(h.forms, oldest)
	}
}

// holder names the session of a visit, without being good for another one.
func (s *Site) holder(v *visit) holder {
	sum := sha256.Sum256([]byte(s.Session(v.Request)))
	return holder{v.me.ID, hex.EncodeToString(sum[:])}
}
