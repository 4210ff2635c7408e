package manifest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// comparison is of one stream that exists.
type comparison struct {
	b      *builder
	want   *Stream
	have   *client.Stream
	form   form
	fields []Field
	sent   []Secret
	patch  map[string]any
	// skipped names what was not compared: the caller may not read it, or does not
	// know what the file refers to.
	skipped []string
}

func (c *comparison) run(n *Namespace, config, now map[string]any) {
	if !c.fixed() {
		return
	}
	c.plain()
	c.filter()
	c.config(config, now)
	thing := streamThing(n, c.want.Name, c.have.ID)
	c.secrets(thing)
	if skipped := append(c.want.unknown(), c.skipped...); len(skipped) > 0 {
		slices.Sort(skipped)
		c.b.partial = true
		c.b.note(thing, "not compared, as not all of it can be read: %s", strings.Join(slices.Compact(skipped), ", "))
	}
	if c.want.Active == nil && !c.have.Active {
		c.b.note(thing, "it is paused, and the file leaves that open (active)")
	}
	if len(c.patch) == 0 {
		return
	}
	change, err := c.planned(thing)
	if err != nil {
		c.b.problems.add(c.want.At, "the change cannot be written: %v", err)
		return
	}
	c.b.add(stageStreams, change)
}

// planned returns the change. It holds for the version that was compared: the
// server refuses it when somebody else was faster.
func (c *comparison) planned(thing Thing) (Change, error) {
	have, onlySecrets := c.have, len(c.fields) == 0
	destination := c.patch["config"] != nil || c.patch["secrets"] != nil
	c.patch["version"] = have.Version
	patch, err := json.Marshal(c.patch)
	change := Change{Action: Update, Thing: thing, Fields: c.fields, Secrets: c.sent}
	change.referTo(c.want, c.sends)
	if destination {
		change.check = func(ctx context.Context, c *client.Client) (client.CheckResult, error) {
			return c.CheckChange(ctx, have.ID, patch)
		}
	}
	change.run = func(ctx context.Context, c *carrier) (string, error) {
		after, err := c.client.UpdateStream(ctx, have.ID, patch)
		if err == nil && after.Version == have.Version && onlySecrets {
			return "the secrets were the same", nil
		}
		return "", err
	}
	return change, err
}

// sends reports whether "config.NAME" or "secrets.NAME" goes with the change.
func (c *comparison) sends(name string) bool {
	if name, ok := strings.CutPrefix(name, "config."); ok {
		patch, _ := c.patch["config"].(map[string]any)
		_, sent := patch[name]
		return sent
	}
	patch, _ := c.patch["secrets"].(map[string]string)
	_, sent := patch[strings.TrimPrefix(name, "secrets.")]
	return sent
}

// fixed tells what differs and can never be changed.
func (c *comparison) fixed() bool {
	before := len(c.b.problems)
	const advice = "to start anew, give the stream in the file another name; the old one goes on until it is deleted"
	if c.want.Kind != c.have.Kind {
		c.b.problems.add(c.want.at("kind"), "kind of a stream cannot be changed from %s to %s: %s", c.have.Kind, c.want.Kind, advice)
	}
	if c.want.Start != "" && c.want.Start != c.have.Start {
		c.b.problems.add(c.want.at("start"), "start of a stream cannot be changed from %s to %s: %s, or take start out of the file", c.have.Start, c.want.Start, advice)
	}
	if t := c.want.Secrets[verificationToken]; t != nil && t.known && c.have.VerificationToken != "" && t.value != c.have.VerificationToken {
		c.b.problems.add(t.At, "the verification token of a stream cannot be changed, and the stream has another one: %s", advice)
	}
	if now := c.b.Now(); !c.want.Until.Equal(c.until()) {
		switch {
		case !c.until().IsZero() && !c.until().After(now):
			c.b.problems.add(c.want.at("until"), "the stream ended at %s, and cannot go on: %s", timeText(c.until()), advice)
		case !c.want.Until.IsZero() && !c.want.Until.After(now):
			c.b.problems.add(c.want.at("until"), "until must lie in the future: to stop the stream now, pause it (active: false) or delete it")
		}
	}
	return len(c.b.problems) == before
}

// until returns when the stream ends, zero for never.
func (c *comparison) until() time.Time {
	t, _ := time.Parse(time.RFC3339, c.have.Until) // the server's own, or ""
	return t
}

func (c *comparison) change(name string, from, to any) {
	c.fields = append(c.fields, Field{name, from, to})
}

// plain compares what does not concern the destination.
func (c *comparison) plain() {
	if !c.want.Until.Equal(c.until()) {
		c.change("until", textOrNil(c.have.Until), textOrNil(timeText(c.want.Until)))
		c.patch["until"] = timeText(c.want.Until)
	}
	if c.want.Strict != c.have.Strict {
		c.change("strict", c.have.Strict, c.want.Strict)
		c.patch["strict"] = c.want.Strict
	}
	if c.want.Active != nil && *c.want.Active != c.have.Active {
		c.change("active", c.have.Active, *c.want.Active)
		c.patch["active"] = *c.want.Active
	}
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// filter compares lists without regard to the order of their words.
func (c *comparison) filter() {
	patch := map[string][]string{}
	for _, l := range []struct {
		name       string
		want, have []string
		fold       func(string) string
	}{
		{"event_types", c.want.Filter.EventTypes, c.have.Filter.EventTypes, strings.Clone},
		{"excluded_event_types", c.want.Filter.ExcludedEventTypes, c.have.Filter.ExcludedEventTypes, strings.Clone},
		{"namespaces", c.want.Filter.Namespaces, c.have.Filter.Namespaces, sluice.FoldNamespace},
	} {
		if !maps.Equal(words(l.want, l.fold), words(l.have, l.fold)) {
			c.change("filter."+l.name, append([]string{}, l.have...), append([]string{}, l.want...))
			patch[l.name] = append([]string{}, l.want...)
		}
	}
	if len(patch) > 0 {
		c.patch["filter"] = patch
	}
}

func words(list []string, fold func(string) string) map[string]bool {
	out := map[string]bool{}
	for _, w := range list {
		out[fold(w)] = true
	}
	return out
}

// config compares the members of the configuration.
func (c *comparison) config(want, have map[string]any) {
	patch := map[string]any{}
	names := slices.Collect(maps.Keys(have))
	for name := range want {
		if _, both := have[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if c.member(name, have[name], want[name]) {
			patch[name] = want[name]
		}
	}
	if len(patch) > 0 {
		c.patch["config"] = patch
	}
}

// member compares a member and reports whether it has to be sent.
func (c *comparison) member(name string, have, want any) bool {
	path := "config." + name
	field := c.form.field(path)
	if field != nil && field.Type == "list" {
		return c.list(path, have, want)
	}
	if c.unsure(name, field, want) {
		if !equal(have, want) {
			c.skipped = append(c.skipped, path)
		}
		return false
	}
	if equal(have, want) || want == nil && isDefault(field, have) {
		return false
	}
	if hidden(have) {
		if shown(want) != have {
			c.change(path, have, shown(want))
			return true
		}
		c.skipped = append(c.skipped, path)
		return false
	}
	from, to := shown(have), shown(want)
	if _, elsewhere := c.want.Config[name].(*Text); elsewhere {
		if to = notShown; from != nil {
			from = notShown
		}
	}
	c.change(path, from, to)
	return true
}

// unsure reports whether a member is not what the file says because something that
// the file refers to is not known: the text itself, or a secret that says what the
// member is when it is left out.
func (c *comparison) unsure(name string, field *client.Field, want any) bool {
	v, named := c.want.Config[name]
	if t, ok := v.(*Text); ok {
		return !t.known
	}
	text, _ := want.(string)
	return !named && len(c.want.missing()) > 0 && text != "" && field != nil && len(field.Default) == 0
}

// isDefault reports whether a value is the one that a field has when nobody sets
// it.
func isDefault(field *client.Field, have any) bool {
	var value any
	return field != nil && len(field.Default) > 0 && json.Unmarshal(field.Default, &value) == nil && equal(value, have)
}

// list compares rows by their names, without regard to order and to the case of
// names, as headers are. It tells no values but those of checkboxes.
func (c *comparison) list(path string, have, want any) (differs bool) {
	before, after := rows(have), rows(want)
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if before[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		from, to := before[name], after[name]
		switch {
		case from == nil:
			c.change(path+"."+rowName(to), nil, notShown)
			differs = true
		case to == nil:
			c.change(path+"."+rowName(from), notShown, nil)
			differs = true
		default:
			differs = c.row(path+"."+rowName(to), from, to) || differs
		}
	}
	return differs
}

func (c *comparison) row(path string, from, to map[string]any) (differs bool) {
	columns := slices.Collect(maps.Keys(from))
	for name := range to {
		if _, both := from[name]; !both {
			columns = append(columns, name)
		}
	}
	slices.Sort(columns)
	for _, name := range columns {
		if equal(from[name], to[name]) {
			continue
		}
		if hidden(from[name]) {
			c.skipped = append(c.skipped, path)
			continue
		}
		differs = true
		if _, checkbox := to[name].(bool); checkbox || name == "name" {
			c.change(path+"."+name, from[name], to[name])
			continue
		}
		c.change(path+"."+name, notShown, notShown)
	}
	return differs
}

// rows returns the rows of a list by folded name, or by number.
func rows(v any) map[string]map[string]any {
	list, _ := v.([]any)
	out := map[string]map[string]any{}
	for i, item := range list {
		key := rowKey(item, i)
		if out[key] != nil {
			key = fmt.Sprintf("#%d", i)
		}
		out[key], _ = item.(map[string]any)
	}
	return out
}

func rowKey(item any, i int) string {
	row, _ := item.(map[string]any)
	if name, ok := row["name"].(string); ok {
		return strings.ToLower(name)
	}
	return fmt.Sprintf("#%d", i)
}

// secrets decides which are sent. They cannot be read back: what is there may
// differ from what the file names, and only the server could tell.
func (c *comparison) secrets(thing Thing) {
	patch := map[string]string{}
	var left []string
	send := c.b.SendSecrets || c.patch["config"] != nil
	for _, name := range slices.Sorted(maps.Keys(c.want.Secrets)) {
		t, set := c.want.Secrets[name], c.have.Secrets[name] != ""
		switch {
		case name == verificationToken: // compared before
		case t == nil && set:
			c.sent = append(c.sent, Secret{name, secretRemoved})
			patch[name] = ""
		case t != nil && !set:
			c.sent = append(c.sent, Secret{name, secretSet})
			patch[name] = t.value
		case t != nil && send:
			c.sent = append(c.sent, Secret{name, secretSent})
			patch[name] = t.value
		case t != nil:
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		c.b.left = append(c.b.left, Uncompared{thing, left})
	}
	for _, name := range slices.Sorted(maps.Keys(c.have.Secrets)) {
		if _, named := c.want.Secrets[name]; !named && !strings.HasPrefix(name, replaced) {
			c.b.note(thing, "the secret %s is set, and the file does not name it: it stays", name)
		}
	}
	if len(patch) > 0 {
		c.patch["secrets"] = patch
	}
}
