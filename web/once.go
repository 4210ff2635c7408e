package web

import (
	"crypto/rand"
	"slices"
	"sync"
)

// maxOnce is how many forms that were sent are remembered.
const maxOnce = 4096

// once remembers which forms were sent, so that reloading a page which was the
// answer to a form does not do it again. It is no guard against anybody: a form
// without its number is done each time it comes.
type once struct {
	mu    sync.Mutex
	sent  map[string]bool
	order []string // of sent, oldest first
}

func newOnce() *once { return &once{sent: map[string]bool{}} }

// number returns one for a form.
func (o *once) number() string { return rand.Text() }

// first reports whether the form with this number comes from this user for the
// first time.
func (o *once) first(user, number string) bool {
	if number == "" || len(number) > 64 {
		return true
	}
	key := onceKey(user, number)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent[key] {
		return false
	}
	if len(o.order) >= maxOnce {
		delete(o.sent, o.order[0])
		o.order = o.order[1:]
	}
	o.sent[key] = true
	o.order = append(o.order, key)
	return true
}

// forget has the form be sent again: what it asked for was not done.
func (o *once) forget(user, number string) {
	key := onceKey(user, number)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent[key] {
		delete(o.sent, key)
		o.order = slices.DeleteFunc(o.order, func(k string) bool { return k == key })
	}
}

func onceKey(user, number string) string { return user + " " + number }
