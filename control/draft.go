package control

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"crypto/rand"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/secret"
)

// StreamSpec is a stream as it is asked for.
type StreamSpec struct {
	// Namespace is a top-level namespace, "" the instance. An unknown one is
	// declared.
	Namespace string                 `json:"namespace"`
	Name      string                 `json:"name"` // optional, at most 72 characters, unique in the namespace
	Kind      string                 `json:"kind"`
	Config    json.RawMessage        `json:"config"`
	Secrets   map[string]secret.Text `json:"secrets"`
	Filter    sluice.Filter          `json:"filter"`
	Start     string                 `json:"start"` // "now" (default), "earliest" or a time
	Until     string                 `json:"until"` // a time; "" is never
	Strict    bool                   `json:"strict"`
	Active    *bool                  `json:"active"` // true by default
	// CopyOf is a stream whose destination, secrets included, and filter this one
	// gets, 0 for none. Namespace, Kind, Config and Secrets are left out then, and so
	// is Filter, unless it is to be another one. A copy has the same verification
	// token, which is otherwise the only one of its namespace: the receiver compares
	// it.
	CopyOf sluice.StreamID `json:"copy_of"`
}

// Starts of a stream besides a time.
const (
	startNow      = "now"
	startEarliest = "earliest"
)

// draft is a checked specification: all that is left is to store it.
type draft struct {
	spec    StreamSpec
	scope   string // folded namespace
	kind    destination.Kind
	config  json.RawMessage // canonical
	secrets destination.Secrets
	start   time.Time // when the start is a time
	until   time.Time
}

// draft checks a specification.
func (s *Service) draft(ctx context.Context, p Principal, spec StreamSpec) (*draft, error) {
	kept, err := s.complete(p, &spec)
	if err != nil {
		return nil, err
	}
	d := &draft{spec: spec, scope: sluice.FoldNamespace(spec.Namespace)}
	if err := authorize(p, actionManageStreams, d.scope); err != nil {
		return nil, err
	}
	if err := checkTopLevel(spec.Namespace); err != nil {
		return nil, err
	}
	if err := checkName("name", spec.Name, sluice.MaxStreamName); err != nil {
		return nil, err
	}
	if err := s.checkFilter(&spec.Filter, spec.Namespace); err != nil {
		return nil, err
	}
	if err := d.times(s.now()); err != nil {
		return nil, err
	}
	if d.kind = s.kinds[spec.Kind]; d.kind == nil {
		return nil, sluice.Errorf(sluice.Invalid, "there is no kind %q", short(spec.Kind)).WithHint("kind is one of %s", strings.Join(s.kindList, ", "))
	}
	if d.secrets, err = mergeSecrets(d.kind, kept, spec.Secrets, s.now()); err != nil {
		return nil, err
	}
	if knows(d.kind, verificationToken) && d.secrets[verificationToken] == "" {
		d.secrets[verificationToken] = rand.Text()[:24]
	}
	before := spec.Config // of the stream that is copied
	if spec.CopyOf == 0 {
		before = nil
	}
	d.config, err = s.checkConfig(ctx, p, d.kind, before, spec.Config, d.secrets)
	return d, err
}

// times reads start and until.
func (d *draft) times(now time.Time) (err error) {
	if d.until, err = readTime("until", d.spec.Until); err != nil {
		return err
	}
	switch d.spec.Start {
	case "":
		d.spec.Start = startNow
	case startNow, startEarliest:
	default:
		if d.start, err = readTime("start", d.spec.Start); err != nil {
			return sluice.Errorf(sluice.Invalid, "start must be %q, %q or a time", startNow, startEarliest).
				WithHint("for example 2026-01-31T12:00:00Z")
		}
		d.spec.Start = d.start.Format(time.RFC3339Nano)
		if d.start.After(now) {
			return sluice.Errorf(sluice.Invalid, "start lies in the future").WithHint("create the stream when it is to begin, or leave start out")
		}
	}
	begin := d.start
	if d.spec.Start == startNow {
		begin = now
	}
	if !d.until.IsZero() && !d.until.After(begin) {
		return sluice.Errorf(sluice.Invalid, "until must be later than start").WithHint("send an earlier start to repeat what was recorded")
	}
	return nil
}

func readTime(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, sluice.Errorf(sluice.Invalid, "%s must be a time", field).WithHint("for example 2026-01-31T12:00:00Z")
	}
	return t.UTC(), nil
}

func (s *Service) checkFilter(f *sluice.Filter, namespace string) error {
	if len(f.Namespaces) > s.cfg.StreamLimit {
		return sluice.Errorf(sluice.Invalid, "filter: namespaces has more than %d entries, which is the limit", s.cfg.StreamLimit).
			WithHint("name what lies above them, or make several streams")
	}
	if err := f.Check(namespace); err != nil {
		return sluice.Errorf(sluice.Invalid, "filter: %v", err).WithHint("an empty list lets everything pass")
	}
	return nil
}

// checkConfig returns the configuration in canonical form. before is the one that
// is stored, nil for none.
func (s *Service) checkConfig(ctx context.Context, p Principal, kind destination.Kind, before, config json.RawMessage, secrets destination.Secrets) (json.RawMessage, error) {
	rules := s.cfg.Rules
	rules.Administrator = p.Administrator()
	canonical, err := kind.Check(config, secrets, rules)
	if err != nil && before != nil && !rules.Administrator {
		rules.Administrator = true // to see whether what was reserved stays
		if as, other := kind.Check(config, secrets, rules); other != nil || keepsReserved(kind, before, as) {
			canonical, err = as, other
		}
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if err := destination.CheckHosts(ctx, s.cfg.Env.Dialer, kind, canonical); err != nil {
		return nil, err
	}
	if err := destination.CheckSecretHosts(ctx, s.cfg.Env.Dialer, kind, secrets); err != nil {
		return nil, err
	}
	return canonical, nil
}

// keepsReserved reports whether what only administrators may set is the same in
// two canonical configurations.
func keepsReserved(kind destination.Kind, before, canonical json.RawMessage) bool {
	described, ok := kind.(destination.Described)
	var old, next map[string]any
	if !ok || json.Unmarshal(before, &old) != nil || json.Unmarshal(canonical, &next) != nil {
		return false
	}
	return !slices.ContainsFunc(described.Form().Inputs, func(in destination.Input) bool {
		name := strings.TrimPrefix(in.Name, "config.")
		return in.Administrators && !reflect.DeepEqual(old[name], next[name])
	})
}

// keepsReceiver refuses a change that would show a stored secret, which nobody can
// read, to another receiver than the one that it was entered for.
func keepsReceiver(kind destination.Kind, before, after json.RawMessage, stored destination.Secrets, sent map[string]secret.Text) error {
	bearing, ok := kind.(destination.Bearing)
	if !ok || !bearing.NewReceiver(before, after) {
		return nil
	}
	for _, name := range bearing.BearerSecrets() {
		if _, again := sent[name]; !again && stored[name] != "" {
			return sluice.Errorf(sluice.Invalid, "secrets.%s has to be entered again, because it may go to another receiver", name).
				WithHint("another host or port, or one whose certificate is not checked any more, may be somebody else's, who gets to know it then: only those who know it may send it there")
		}
	}
	return nil
}

func knows(kind destination.Kind, name string) bool { return slices.Contains(kind.SecretNames(), name) }

// mergeSecrets returns old with what was sent: "" removes a secret. A signing
// secret that is replaced goes on signing beside the new one for a day, so that
// receivers can be changed one after another.
func mergeSecrets(kind destination.Kind, old destination.Secrets, sent map[string]secret.Text, now time.Time) (destination.Secrets, error) {
	out := destination.Secrets{}
	for name, value := range old {
		out[name] = value
	}
	if until, err := time.Parse(time.RFC3339, out[previousUntil]); err == nil && !now.Before(until) {
		delete(out, previousSecret)
		delete(out, previousUntil)
	}
	for name, text := range sent {
		if !knows(kind, name) || name == previousSecret || name == previousUntil {
			return nil, unknownSecret(kind, name)
		}
		value := text.Reveal()
		if name == verificationToken && old[name] != "" && value != old[name] {
			return nil, sluice.Errorf(sluice.Invalid, "secrets.%s cannot be changed", verificationToken).
				WithHint("leave it out; create another stream to get another one")
		}
		out[name] = value
		if value == "" {
			delete(out, name)
		}
	}
	if before := old[signingSecret]; before != out[signingSecret] {
		delete(out, previousSecret)
		delete(out, previousUntil)
		if before != "" && out[signingSecret] != "" && knows(kind, previousSecret) {
			out[previousSecret], out[previousUntil] = before, now.Add(rotation).UTC().Format(time.RFC3339)
		}
	}
	return out, nil
}

func unknownSecret(kind destination.Kind, name string) error {
	names := slices.DeleteFunc(slices.Clone(kind.SecretNames()), internalSecret)
	return sluice.Errorf(sluice.Invalid, "secrets has no field %q", short(name)).
		WithHint("the secrets of kind %s are %s", kind.Name(), strings.Join(names, ", "))
}

// internalSecret reports whether rotation alone sets a secret.
func internalSecret(name string) bool { return name == previousSecret || name == previousUntil }

// short cuts what a caller sent for a message.
func short(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "..."
}

// positions returns where a stream begins in each partition.
func (s *Service) positions(ctx context.Context, d *draft) (fields[deliver.Start], error) {
	partitions := s.log.Partitions()
	out := make(fields[deliver.Start], 0, len(partitions))
	for _, p := range partitions {
		if d.spec.Start == startNow {
			seq, total := s.log.Position(p, d.scope)
			out.set(p, deliver.Start{Seq: seq, Total: total})
			continue
		}
		first := s.log.First(p)
		if d.spec.Start != startEarliest {
			since, err := s.log.Since(ctx, p, d.start)
			if err != nil {
				return nil, fmt.Errorf("find the start in partition %s: %w", p, err)
			}
			first = max(first, since)
		}
		total, err := s.log.Before(ctx, p, d.scope, first)
		if err != nil {
			return nil, fmt.Errorf("count events before the start in partition %s: %w", p, err)
		}
		out.set(p, deliver.Start{Seq: first - 1, Total: total})
	}
	return out, nil
}
