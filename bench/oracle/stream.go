package oracle

import (
	"fmt"
	"math"
	"time"
)

// spec is a stream as the oracle wants it, and the character of its receiver.
type spec struct {
	Name        string
	Tenant      string // "" for the instance
	Kind        string // "" for http
	Format      string // of http
	Concurrency int    // of the format event
	Objects     int    // events in an object of the kind s3, at most; 0 for as many as come in a second
	Filter      filter
	PoisonRate  uint64        // one in so many events is refused for ever; 0 for none
	Calm        bool          // the receiver never refuses anything for long
	Start       string        // "" for now
	Lasts       time.Duration // from its creation to its until; 0 for ever
}

// ordered reports whether an event reaches the receiver in the order of the log.
// Where filters change, only what all of them want does: what the first did not
// want is sent late when a kill took the cursor back. An object goes to a bucket
// when all before it is on disk.
func (s *spec) ordered(t *traits) bool {
	if s.Kind == kindS3 {
		return true
	}
	if s.changes() {
		for _, f := range changes() {
			if !f.wants(t.kind, t.namespace) {
				return false
			}
		}
	}
	return s.Format != "event" || s.Concurrency == 1
}

// poison reports whether the receiver refuses event n whenever it sees it.
func (s *spec) poison(m maker, n number) bool {
	if s.PoisonRate == 0 {
		return false
	}
	salt := uint64(len(s.Name))
	for _, c := range []byte(s.Name) {
		salt = salt*31 + uint64(c)
	}
	return mix(m.hash(n, 3)^salt)%s.PoisonRate == 0
}

// inScope reports whether events of a tenant belong to the stream.
func (s *spec) inScope(tenant string) bool { return s.Tenant == "" || s.Tenant == tenant }

// changes reports whether the stream's filter changes.
func (s *spec) changes() bool { return s.Name == changing || s.Name == changingBucket }

// body is the stream for the API, to a receiver at a URL. until may be zero.
func (s *spec) body(name, url string, until time.Time) any {
	b := map[string]any{"namespace": s.Tenant, "name": name, "filter": s.Filter.lists()}
	if s.Kind == kindS3 {
		b["kind"], b["config"], b["secrets"] = kindS3, s.object(url), map[string]string{"secret_access_key": "a-secret-access-key"}
	} else {
		b["kind"], b["config"] = "http", s.events(url)
	}
	if s.Start != "" {
		b["start"] = s.Start
	}
	if !until.IsZero() {
		b["until"] = until.UTC().Format(time.RFC3339Nano)
	}
	return b
}

// events configures the kind http.
func (s *spec) events(url string) map[string]any {
	config := map[string]any{"url": url + "/" + s.Name, "format": s.Format}
	if s.Concurrency > 0 {
		config["concurrency"] = s.Concurrency
	}
	return config
}

// object configures the kind s3.
func (s *spec) object(url string) map[string]any {
	config := map[string]any{"bucket": bucketName, "region": "us-east-1", "access_key_id": "a-key-id", "prefix": bucketPrefix,
		"endpoint": url, "object_seconds": 1}
	if s.Objects > 0 {
		config["object_events"] = s.Objects
	}
	return config
}

// lists returns f with lists that are never null.
func (f filter) lists() filter {
	for _, l := range []*[]string{&f.Types, &f.Excluded, &f.Namespaces} {
		if *l == nil {
			*l = []string{}
		}
	}
	return f
}

// edge is a moment that is known to lie between two instants.
type edge struct{ after, before int64 }

var (
	always = edge{math.MinInt64, math.MinInt64}
	never  = edge{math.MaxInt64, math.MaxInt64}
)

// stream is a stream that the oracle has made.
type stream struct {
	spec     spec
	name     string // as the server knows it
	receiver *receiver
	id       int64 // 0 until it is known
	from, to edge
	// ownFrom is how many own events were there when the stream was created, when
	// that is known exactly; -1 otherwise.
	ownFrom int
	filters []filter // all that were in force
	deleted bool     // guarded by oracle.mu
	judged  bool     // after its deletion
	paused  bool
	final   ledger // as judged
	// done counts what was done to the stream, by the type of event that tells it.
	done  map[string]int
	pokes int
}

func (s *stream) alive() bool { return s.id != 0 && !s.deleted }

// certain says whether an event certainly belongs to the stream, or certainly
// does not, as far as time goes.
func (s *stream) certain(e *entry) (in, out bool) {
	acked := e.acked
	if acked == 0 {
		acked = math.MaxInt64
	}
	in = e.issued > s.from.before && acked < s.to.after
	out = acked < s.from.after || e.issued > s.to.before
	return in, out
}

// whole reports whether it is certain of every event whether it belongs.
func (s *stream) whole() bool { return s.ownFrom >= 0 && s.to == never }

// wants reports whether all filters that were in force want an event, and
// whether one of them does.
func (s *stream) wants(kind, namespace string) (all, some bool) {
	all = true
	for i := range s.filters {
		if s.filters[i].wants(kind, namespace) {
			some = true
		} else {
			all = false
		}
	}
	return all, some
}

func (s *stream) summary() string {
	what := "whole"
	switch {
	case s.deleted:
		what = "deleted in flight"
	case !s.whole():
		what = "part"
	}
	again := s.receiver.repeated()
	return fmt.Sprintf("%-16s %-17s %v; repeated: %d after lost answers, %d after kills", s.spec.Name, what, s.final, again.unanswered, again.killed)
}

// firstSpecs are the streams that are there from the beginning. The first takes
// everything.
func firstSpecs() []spec {
	return []spec{
		{Name: "everything", Format: "ndjson", Calm: true, Start: "earliest"},
		{Name: "alpha-each", Tenant: "alpha", Format: "event", Concurrency: 16, PoisonRate: 900},
		{Name: "beta-array", Tenant: "beta", Format: "array", PoisonRate: 700},
		{Name: "gamma-lines", Tenant: "gamma", Format: "ndjson", PoisonRate: 800},
		{Name: "alpha-types", Tenant: "alpha", Format: "event", Concurrency: 1, PoisonRate: 500,
			Filter: filter{Types: []string{"user.add", "git.push", "stream.update"}}},
		{Name: "beta-spaces", Tenant: "beta", Format: "array", PoisonRate: 600,
			Filter: filter{Namespaces: []string{"beta/Web"}, Excluded: []string{"user.remove"}}},
		{Name: changing, Tenant: "gamma", Format: "ndjson", Filter: changes()[0]},
		{Name: pausing, Tenant: "alpha", Format: "array", PoisonRate: 900},
		{Name: "all-array", Format: "array", PoisonRate: 1500},
		{Name: pausingBucket, Tenant: "alpha", Kind: kindS3, Objects: 40},
		{Name: changingBucket, Tenant: "gamma", Kind: kindS3, Filter: changes()[0]},
	}
}

// Names of the streams that something is done to.
const (
	changing       = "gamma-changing"
	changingBucket = "gamma-bucket"
	pausing        = "alpha-pausing"
	pausingBucket  = "alpha-bucket"
)

// changes are the filters that two of the streams have in turn.
func changes() []filter {
	return []filter{
		{Types: []string{"user.add", "git.push", "member.update"}},
		{Types: []string{"git.push", "git.clone", "user.remove", "user.add"}, Namespaces: []string{"gamma/web", "gamma/api"}},
	}
}

// episodeSpecs are the streams that come and go.
func (o *oracle) episodeSpecs(episode int) []spec {
	name := func(s string) string { return ofEpisode(s, episode) }
	replay := spec{Name: name("beta-replay"), Tenant: "beta", Format: "array", Start: "earliest"}
	if episode > 0 && !o.cfg.Untimed {
		replay.Start = time.Now().Add(-5 * time.Second).UTC().Format(time.RFC3339Nano)
	}
	ending := spec{Name: name("alpha-ending"), Tenant: "alpha", Format: "array", Lasts: 2500 * time.Millisecond}
	endingBucket := spec{Name: name("gamma-ending"), Tenant: "gamma", Kind: kindS3, Objects: 60, Lasts: 2500 * time.Millisecond}
	if o.cfg.Untimed {
		ending.Lasts, endingBucket.Lasts = 0, 0
	}
	return []spec{
		{Name: name(doomed), Tenant: "beta", Format: "ndjson", PoisonRate: 400},
		{Name: name("gamma-middle"), Tenant: "gamma", Format: "ndjson"},
		replay, ending, endingBucket,
		{Name: name(doomedBucket), Tenant: "beta", Kind: kindS3, Objects: 25},
	}
}

// The streams of an episode that are deleted in the middle of it.
const (
	doomed       = "beta-doomed"
	doomedBucket = "beta-bucket"
)

// ofEpisode names a stream that comes and goes.
func ofEpisode(name string, episode int) string { return fmt.Sprintf("%s-%d", name, episode) }
