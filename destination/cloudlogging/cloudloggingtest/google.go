// Package cloudloggingtest plays Google's side of Cloud Logging: entries.write of
// the API v2 as the published REST reference describes it, and the token
// endpoint for service accounts. It refuses what the reference does not allow:
// unknown fields, wrong types, entries and requests beyond the limits, proofs
// that are not signed with the account's key.
package cloudloggingtest

import (
	"crypto/rsa"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Paths of the two services.
const (
	WritePath = "/v2/entries:write"
	TokenPath = "/token"
)

// Config describes the project that a [Google] has.
type Config struct {
	// Project is the id of the only project.
	Project string
	// Email is the only service account, Key the public half of its key. It has
	// the role Logs Writer.
	Email string
	Key   *rsa.PublicKey
	// Now is Google's clock; nil means time.Now.
	Now func() time.Time
	// TokenLife is how long tokens live; 0 means an hour.
	TokenLife time.Duration
	// Script decides about a write request that is valid otherwise; n counts
	// from 0. nil faults none. It is called by one goroutine at a time.
	Script func(n int, r Request) Fault
	// TokenScript does the same for requests for a token.
	TokenScript func(n int) TokenFault
	// Keep gets the entries of a request before it is answered, by one goroutine
	// at a time; nil keeps them in memory, see [Google.Entries].
	Keep func([]Entry)
}

// Request is a decoded write request.
type Request struct {
	LogName string // of the request, "" when its entries have their own
	DryRun  bool
	Partial bool // partialSuccess
	Bytes   int  // unpacked
	Packed  bool // came as gzip
	Entries []Entry
}

// Entry is a log entry.
type Entry struct {
	LogName   string
	InsertID  string
	Timestamp time.Time
	Severity  string
	Resource  string // its type
	Labels    map[string]string
	Payload   []byte // JSON, as it came
}

// Fault is what goes wrong with a write request; the zero Fault is nothing.
type Fault struct {
	// Error refuses the whole request.
	Error *Error
	// Entries are refused one by one, by index, as if they were not valid.
	Entries map[int]Error
	// Reset resets the connection instead of answering.
	Reset bool
	// Lost does everything that would be done and then resets the connection.
	Lost bool
	// Hang never answers, until the sender gives up.
	Hang bool
}

// Google is an [http.Handler] that answers for both services. It may be used by
// several goroutines at once.
type Google struct {
	config Config

	mu       sync.Mutex // guards what follows; held while scripts decide
	granted  map[string]time.Time
	tokens   int // requests for one
	writes   int // requests that were valid
	requests []Request
	entries  []Entry
}

// New returns a Google with the project.
func New(c Config) *Google {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TokenLife == 0 {
		c.TokenLife = time.Hour
	}
	return &Google{config: c, granted: map[string]time.Time{}}
}

// ServeHTTP answers a request for a token or one to write entries.
func (g *Google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", g.config.Now().UTC().Format(http.TimeFormat))
	switch {
	case r.URL.Path == TokenPath && r.Method == http.MethodPost:
		g.serveToken(w, r)
	case r.URL.Path == WritePath && r.Method == http.MethodPost:
		g.serveWrite(w, r)
	default:
		http.Error(w, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", http.StatusNotFound)
	}
}

// Entries returns what was written so far, in order, repeated entries included.
func (g *Google) Entries() []Entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.entries)
}

// Query returns what a query shows: of entries of the same log, time and
// insertId, the first.
func (g *Google) Query() []Entry {
	type key struct {
		log, id string
		at      int64
	}
	seen := map[key]bool{}
	return slices.DeleteFunc(g.Entries(), func(e Entry) bool {
		k := key{e.LogName, e.InsertID, e.Timestamp.UnixNano()}
		twice := seen[k] && e.InsertID != ""
		seen[k] = true
		return twice
	})
}

// Requests returns the valid write requests so far, with their entries.
func (g *Google) Requests() []Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.requests)
}

// TokenRequests returns how many requests for a token came.
func (g *Google) TokenRequests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tokens
}

// Revoke makes every token that was granted so far invalid.
func (g *Google) Revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.granted)
}
