package manifest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// verificationToken is the one secret that owners read, and that never changes.
const verificationToken = "verification_token"

// replaced begins the names of secrets that a rotation keeps for a while.
const replaced = "previous_"

// streams compares the streams of a namespace by their names.
func (b *builder) streams(n *Namespace) {
	have := b.have.scopes[n].streams
	for _, want := range n.Streams.Items {
		kind, ok := b.have.kinds[want.Kind]
		if !ok {
			b.problems.add(want.at("kind"), "the server has no kind %q: its kinds are %s", shorten(want.Kind), strings.Join(slices.Sorted(maps.Keys(b.have.kinds)), ", "))
			continue
		}
		before := len(b.problems)
		b.checkForm(want, form{kind})
		if len(b.problems) > before {
			continue
		}
		i := slices.IndexFunc(have, func(s client.Stream) bool { return s.Name == want.Name })
		if i < 0 {
			b.newStream(n, want, form{kind})
			continue
		}
		b.stream(n, want, &have[i], form{kind})
	}
	for i := range have {
		if !slices.ContainsFunc(n.Streams.Items, func(want *Stream) bool { return want.Name == have[i].Name }) {
			b.extraStream(n, &have[i])
		}
	}
}

func streamThing(n *Namespace, name string, id sluice.StreamID) Thing {
	t := Thing{Type: TypeStream, Namespace: n.Path, Name: name}
	if id != 0 {
		t.ID = strconv.FormatInt(int64(id), 10)
	}
	return t
}

func (b *builder) extraStream(n *Namespace, s *client.Stream) {
	c := Change{Action: Delete, Thing: streamThing(n, s.Name, s.ID)}
	c.Warning = fmt.Sprintf("its ledger ends: %d delivered, and %d pending events are given up", s.Ledger.Delivered, s.Ledger.Pending)
	if s.Ledger.Quarantined > 0 {
		c.Warning += fmt.Sprintf(", %d quarantined ones too", s.Ledger.Quarantined)
	}
	c.run = func(ctx context.Context, c *carrier) (string, error) { return "", c.client.DeleteStream(ctx, s.ID) }
	b.extra(stageStreamsGone, c)
}

// spec returns the stream as it is created.
func (s *Stream) spec(namespace string) (client.StreamSpec, error) {
	members, _ := revealed(s.Config, nil).(map[string]any)
	config, err := json.Marshal(members)
	return client.StreamSpec{
		Namespace: namespace, Name: s.Name, Kind: s.Kind, Config: config, Secrets: s.secrets(), Filter: &s.Filter,
		Start: s.Start, Until: timeText(s.Until), Strict: s.Strict, Active: s.Active,
	}, err
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// stream compares a stream with the one that exists.
func (b *builder) stream(n *Namespace, want *Stream, have *client.Stream, f form) {
	var now map[string]any
	if err := json.Unmarshal(have.Config, &now); err != nil {
		b.problems.add(want.At, "the server's configuration of the stream cannot be read: %v", err)
		return
	}
	config, ok := b.canonical(want, now, f)
	if !ok {
		return
	}
	c := comparison{b: b, want: want, have: have, form: f, patch: map[string]any{}}
	c.run(n, config, now)
}

func (b *builder) newStream(n *Namespace, want *Stream, f form) {
	if want.resolved() {
		if _, ok := b.canonical(want, nil, f); !ok {
			return
		}
	}
	spec, err := want.spec(n.Path)
	if err != nil {
		b.problems.add(want.At, "%v", err)
		return
	}
	if f.field("secrets."+verificationToken) != nil && spec.Secrets[verificationToken] == "" {
		spec.Secrets[verificationToken] = newPassword()[:24] // so that a check sends the one that the stream gets
	}
	c := Change{Action: Create, Thing: streamThing(n, want.Name, 0), Fields: want.shown()}
	for _, name := range slices.Sorted(maps.Keys(want.Secrets)) {
		if want.Secrets[name] != nil {
			c.Secrets = append(c.Secrets, Secret{name, secretSet})
		}
	}
	c.referTo(want, func(string) bool { return true })
	c.check = func(ctx context.Context, c *client.Client) (client.CheckResult, error) { return c.CheckSpec(ctx, spec) }
	c.run = func(ctx context.Context, c *carrier) (string, error) {
		s, err := c.client.CreateStream(ctx, spec)
		return fmt.Sprintf("it is stream %d", s.ID), err
	}
	b.add(stageStreamsNew, c)
}

// shown lists what the file says about a new stream.
func (s *Stream) shown() []Field {
	out := []Field{{"kind", nil, s.Kind}}
	add := func(name string, v any) {
		if !empty(v) {
			out = append(out, Field{name, nil, v})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Config)) {
		add("config."+name, shown(s.Config[name]))
	}
	for _, list := range []struct {
		name  string
		words []string
	}{{"event_types", s.Filter.EventTypes}, {"excluded_event_types", s.Filter.ExcludedEventTypes}, {"namespaces", s.Filter.Namespaces}} {
		if len(list.words) > 0 {
			add("filter."+list.name, list.words)
		}
	}
	add("start", s.Start)
	add("until", timeText(s.Until))
	if s.Strict {
		add("strict", true)
	}
	if s.Active != nil {
		add("active", *s.Active)
	}
	return out
}
