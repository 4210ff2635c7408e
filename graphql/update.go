package graphql

import (
	"context"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// update changes a destination. What the input has not stays.
func (r *root) update(ctx context.Context, c class, in input) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		old, err := r.find(ctx, c, in.ID.value)
		if err != nil {
			return payload{}, err
		}
		if in.places(c) && control.ChangesStreams(callerOf(ctx).by, old.stream.Namespace) == nil {
			free, err := r.choosing(ctx, old.stream.Namespace)
			if err != nil {
				return payload{}, err
			}
			defer free()
		}
		d, err := r.edit(ctx, c, old.stream.ID, func(d *destination) (control.StreamPatch, error) {
			patch, err := in.patch(c, d)
			if err == nil && patch.Config != nil {
				err = r.checkPlace(ctx, d.stream.Namespace, d.stream.Kind, patch.Config, d)
			}
			return patch, err
		})
		if err != nil && c.kind() == kindHTTP {
			d = old
		}
		return payload{destination: d}, err
	})
}

// patch is the change that an input asks for.
func (in *input) patch(c class, d *destination) (patch control.StreamPatch, err error) {
	kind := d.stream.Kind
	patch.Name, patch.Active = in.Name.pointer(), in.Active.pointer()
	if c.legacy() {
		patch.Config, patch.Secrets, err = in.legacyConfig(c)
		return patch, err
	}
	if in.Category.set && in.Category.value != category(kind) {
		if named, err := kindOf(in.Category.value); err != nil || named != kind {
			return patch, sluice.Errorf(sluice.Invalid, "category does not change").WithHint("create another destination")
		}
	}
	if in.SecretToken.value != "" {
		name := secretName(kind)
		if name == "" {
			return patch, sluice.Errorf(sluice.Unsupported, "secrets of this category are changed by Sluice's own API")
		}
		patch.Secrets = secrets(map[string]text{name: in.SecretToken})
	}
	if in.Config.set {
		patch.Config, err = readConfig(kind, in.Config, d.config.Headers)
	}
	return patch, err
}

// destroy deletes a destination: the stream, and with it all views of it.
func (r *root) destroy(ctx context.Context, c class, in input) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		d, err := r.find(ctx, c, in.ID.value)
		if err == nil {
			_, err = r.service.DeleteStream(ctx, callerOf(ctx).by, d.stream.ID)
		}
		return payload{}, err
	})
}

// lists says which of a filter's lists of types is meant.
type lists bool

const (
	wanted   lists = true
	excluded lists = false
)

func (l lists) of(f *sluice.Filter) []string {
	if l == wanted {
		return f.EventTypes
	}
	return f.ExcludedEventTypes
}

func (l lists) patch(types []string) control.StreamPatch {
	if l == wanted {
		return control.StreamPatch{Filter: &control.FilterPatch{EventTypes: &types}}
	}
	return control.StreamPatch{Filter: &control.FilterPatch{ExcludedEventTypes: &types}}
}

// addTypes adds all of the types to a list, or none.
func (r *root) addTypes(ctx context.Context, c class, in input, l lists) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		id, err := c.number(in.DestinationID.value)
		if err != nil {
			return payload{}, err
		}
		switch n := len(in.EventTypeFilters); {
		case n == 0:
			return payload{}, &topLevel{"event type filters must be present"}
		case n > sluice.MaxFilterTypes: // each is looked for among the others
			return payload{}, sluice.Errorf(sluice.Invalid, "a filter has at most %d event types", sluice.MaxFilterTypes)
		}
		d, err := r.edit(ctx, c, sluice.StreamID(id), func(d *destination) (control.StreamPatch, error) {
			types := slices.Clone(l.of(&d.stream.Filter))
			for _, t := range in.EventTypeFilters {
				if slices.Contains(types, t) {
					return control.StreamPatch{}, sluice.Errorf(sluice.Conflict, "the event type %q is in the list already", shorten(t))
				}
				types = append(types, t)
			}
			return l.patch(types), r.checkTypes(ctx, d.stream.Namespace, in.EventTypeFilters)
		})
		if err != nil {
			return payload{}, err
		}
		types := l.of(&d.stream.Filter)
		return payload{types: &types}, nil
	})
}

// removeTypes removes all of the types from a list, or none.
func (r *root) removeTypes(ctx context.Context, c class, in input, l lists) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		id, err := c.number(in.DestinationID.value)
		if err != nil {
			return payload{}, err
		}
		d, err := r.edit(ctx, c, sluice.StreamID(id), func(d *destination) (control.StreamPatch, error) {
			types := l.of(&d.stream.Filter)
			var missing []string
			for _, t := range in.EventTypeFilters {
				if !slices.Contains(types, t) {
					missing = append(missing, shorten(t))
				}
			}
			if len(missing) > 0 {
				return control.StreamPatch{}, sluice.Errorf(sluice.Invalid, "not in the list of event types: %s", strings.Join(missing[:min(len(missing), 20)], ", "))
			}
			left := slices.DeleteFunc(slices.Clone(types), func(t string) bool { return slices.Contains(in.EventTypeFilters, t) })
			return l.patch(left), nil
		})
		if err != nil {
			return payload{}, err
		}
		types := l.of(&d.stream.Filter)
		return payload{types: &types}, nil
	})
}
