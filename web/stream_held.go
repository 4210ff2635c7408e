package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/sluicelog/sluice/secret"
)

// Limits of what is held for forms.
const (
	heldLife     = 30 * time.Minute
	maxHeld      = 256      // forms
	maxHeldEach  = 16       // forms of a session
	maxHeldBytes = 96 << 10 // of one form
)

// held keeps what was entered into a form and must not stand in a page: secrets
// and header values, while the form goes back and forth. They stay in memory, for
// half an hour after the last time, and only the session that entered them can
// use them. It may be used by several goroutines at once.
type held struct {
	mu    sync.Mutex
	forms map[string]*heldForm // by session and number
}

type heldForm struct {
	session string
	values  map[string]secret.Text // by the name of the field; never changed
	until   time.Time
}

func newHeld() *held { return &held{forms: map[string]*heldForm{}} }

// get returns what is held for a form. Callers do not change it.
func (h *held) get(session, number string) map[string]secret.Text {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep(time.Now())
	if f := h.forms[session+" "+number]; f != nil {
		return f.values
	}
	return nil
}

// keep holds the values under a number, "" for a new one, and returns the number;
// "" when there is nothing to hold, or too much.
func (h *held) keep(session, number string, values map[string]secret.Text) string {
	size := 0
	for name, text := range values {
		size += len(name) + len(text.Reveal())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.sweep(now)
	key := session + " " + number
	if size == 0 || size > maxHeldBytes {
		delete(h.forms, key)
		return ""
	}
	if h.forms[key] == nil {
		number = rand.Text()
		key = session + " " + number
		h.makeRoom(session)
	}
	h.forms[key] = &heldForm{session: session, values: maps.Clone(values), until: now.Add(heldLife)}
	return number
}

// drop forgets what is held for a form.
func (h *held) drop(session, number string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.forms, session+" "+number)
}

// sweep forgets what is too old. It is locked.
func (h *held) sweep(now time.Time) {
	maps.DeleteFunc(h.forms, func(_ string, f *heldForm) bool { return !now.Before(f.until) })
}

// makeRoom forgets the oldest form of the session when that has too many, and the
// oldest of all when there are too many. It is locked.
func (h *held) makeRoom(session string) {
	own, oldest, oldestOwn := 0, "", ""
	for key, f := range h.forms {
		if oldest == "" || f.until.Before(h.forms[oldest].until) {
			oldest = key
		}
		if f.session != session {
			continue
		}
		own++
		if oldestOwn == "" || f.until.Before(h.forms[oldestOwn].until) {
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

// sessionKey names the session of a request, without being good for another one.
func (s *Site) sessionKey(r *http.Request) string {
	sum := sha256.Sum256([]byte(s.Session(r)))
	return hex.EncodeToString(sum[:])
}
