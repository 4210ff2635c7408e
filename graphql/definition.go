package graphql

import (
	"context"
	_ "embed"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// catalogueText holds a line for each feature category: its name, a colon and the
// names of the types, those with a star being streamed and not kept by GitLab.
//
//go:embed catalogue.txt
var catalogueText string

// definition is a type of events that filters can name.
type definition struct {
	name, category string
	unsaved        bool
}

// Name resolves the type.
func (d *definition) Name() string { return d.name }

// Description resolves the type in words.
func (d *definition) Description() string {
	words := strings.NewReplacer("_", " ", ".", ": ").Replace(d.name)
	return "Event of the type " + words
}

// FeatureCategory resolves what the type belongs to.
func (d *definition) FeatureCategory() string { return d.category }

// IntroducedByIssue is not known.
func (d *definition) IntroducedByIssue() *string { return nil }

// IntroducedByMr is not known.
func (d *definition) IntroducedByMr() *string { return nil }

// Milestone resolves nothing, for it is not known.
func (d *definition) Milestone() string { return "" }

// SavedToDatabase reports whether GitLab keeps events of the type. Sluice keeps
// every event.
func (d *definition) SavedToDatabase() bool { return !d.unsaved }

// Streamed is true: every event can be streamed.
func (d *definition) Streamed() bool { return true }

// readCatalogue returns the shipped types by name.
func readCatalogue() []definition {
	var out []definition
	for line := range strings.Lines(catalogueText) {
		category, names, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for _, name := range strings.Fields(names) {
			plain, unsaved := strings.CutSuffix(name, "*")
			out = append(out, definition{plain, category, unsaved})
		}
	}
	byName := func(a, b definition) int { return strings.Compare(a.name, b.name) }
	slices.SortStableFunc(out, byName)
	return slices.CompactFunc(out, func(a, b definition) bool { return a.name == b.name })
}

func (a *API) shipped(name string) bool {
	_, ok := slices.BinarySearchFunc(a.catalogue, name, func(d definition, name string) int { return strings.Compare(d.name, name) })
	return ok
}

// seenHours is how far back types count as seen.
const seenHours = 7 * 24

// seen are the frequent types of the last days in a namespace.
func (a *API) seen(ctx context.Context, namespace string) (map[string]bool, error) {
	c := callerOf(ctx)
	out := map[string]bool{}
	if err := c.spend(100); err != nil || !c.known {
		return out, err
	}
	hours, err := a.service.Counts(ctx, c.by, control.CountQuery{Namespace: namespace, Hours: seenHours})
	for _, h := range hours {
		for name := range h.Types {
			if name != "other" {
				out[name] = true
			}
		}
	}
	return out, err
}

// definitions are the shipped types, and those seen in what the caller may read.
func (a *API) definitions(ctx context.Context) ([]*definition, error) {
	out := make([]*definition, 0, len(a.catalogue))
	for i := range a.catalogue {
		out = append(out, &a.catalogue[i])
	}
	c := callerOf(ctx)
	if err := c.spend(maxPage); err != nil || !c.known {
		return out, err
	}
	scopes := []string{sluice.Instance}
	if control.ChangesStreams(c.by, sluice.Instance) != nil {
		scopes = nil
		all, err := a.service.Namespaces(ctx, c.by, sluice.Instance)
		if err != nil {
			return out, err
		}
		for _, ns := range all {
			if !strings.Contains(ns.Path, "/") && len(scopes) < 10 {
				scopes = append(scopes, ns.Path)
			}
		}
	}
	found := map[string]bool{}
	for _, scope := range scopes {
		types, err := a.seen(ctx, scope)
		if err != nil {
			return out, err
		}
		for name := range types {
			if !found[name] && !a.shipped(name) {
				found[name] = true
				out = append(out, &definition{name: name, category: "seen"})
			}
		}
	}
	return out, nil
}

// checkTypes reports types that are neither shipped nor were seen in the
// namespace.
func (a *API) checkTypes(ctx context.Context, namespace string, types []string) error {
	var seen map[string]bool
	for _, t := range types {
		if a.shipped(t) {
			continue
		}
		if seen == nil {
			var err error
			if seen, err = a.seen(ctx, namespace); err != nil {
				return err
			}
		}
		if !seen[t] {
			return sluice.Errorf(sluice.Invalid, "no event type %q is known", shorten(t)).
				WithHint("query auditEventDefinitions for those that are; Sluice's own API takes any")
		}
	}
	return nil
}
