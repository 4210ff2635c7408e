package graphql

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// createHeader adds a header to a destination.
func (r *root) createHeader(ctx context.Context, c class, in input) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		id, err := c.number(in.DestinationID.value)
		if err != nil {
			return payload{}, err
		}
		d, err := r.edit(ctx, c, sluice.StreamID(id), func(d *destination) (control.StreamPatch, error) {
			return headersPatch(append(slices.Clone(d.config.Headers),
				headerConfig{Name: in.Key.value, Value: in.Value.value, Active: !in.Active.set || in.Active.value}))
		})
		if err != nil {
			return payload{}, err
		}
		list := d.headers()
		return payload{header: list[len(list)-1]}, nil
	})
}

func headersPatch(list []headerConfig) (control.StreamPatch, error) {
	config, err := json.Marshal(object{"headers": list})
	return control.StreamPatch{Config: config}, err
}

// updateHeader changes a header. On failure the payload shows it unchanged.
func (r *root) updateHeader(ctx context.Context, c class, in input) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		var before *header
		at := 0
		d, err := r.editHeader(ctx, c, in, func(d *destination, i int) (control.StreamPatch, error) {
			before, at = d.headers()[i], i
			list := slices.Clone(d.config.Headers)
			h := &list[i]
			if in.Key.set {
				h.Name = in.Key.value
			}
			if in.Value.set {
				h.Value = in.Value.value
			}
			if in.Active.set {
				h.Active = in.Active.value
			}
			return headersPatch(list)
		})
		if err != nil {
			return payload{header: before}, err
		}
		return payload{header: d.headers()[at]}, nil
	})
}

// destroyHeader removes a header.
func (r *root) destroyHeader(ctx context.Context, c class, in input) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		_, err := r.editHeader(ctx, c, in, func(d *destination, i int) (control.StreamPatch, error) {
			return headersPatch(slices.Delete(slices.Clone(d.config.Headers), i, i+1))
		})
		return payload{}, err
	})
}

// editHeader changes the stream of a header by what it is now.
func (r *root) editHeader(ctx context.Context, c class, in input, change func(*destination, int) (control.StreamPatch, error)) (*destination, error) {
	n, err := c.headers().number(in.HeaderID.value)
	if err != nil {
		return nil, err
	}
	return r.edit(ctx, c, whole(n), func(d *destination) (control.StreamPatch, error) {
		i := slices.IndexFunc(d.headers(), func(h *header) bool { return h.number == n })
		if i < 0 {
			return control.StreamPatch{}, sluice.Errorf(sluice.NotFound, "there is no such header")
		}
		return change(d, i)
	})
}

// addHTTPFilter sets the one namespace filter that the legacy generation has.
func (r *root) addHTTPFilter(ctx context.Context, c class, in input) (*payload, error) {
	if (in.GroupPath.value == "") == (in.ProjectPath.value == "") {
		return r.mutate(ctx, c, in, func() (payload, error) {
			return payload{}, &topLevel{"One and only one of [groupPath, projectPath] arguments is required."}
		})
	}
	path, kind := in.GroupPath.value, control.Group
	if path == "" {
		path, kind = in.ProjectPath.value, control.Project
	}
	return r.addFilter(ctx, c, in, path, kind, &topLevel{"there is no " + kind + " " + shorten(path)})
}

// createFilter adds a namespace filter of the consolidated generation.
func (r *root) createFilter(ctx context.Context, c class, in input) (*payload, error) {
	path := in.NamespacePath.value
	return r.addFilter(ctx, c, in, path, "", &topLevel{"namespacePath is not the path of a group or project"})
}

// addFilter adds a namespace that the caller may see; unknown is the error for
// any other.
func (r *root) addFilter(ctx context.Context, c class, in input, path, kind string, unknown error) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		id, err := c.number(in.DestinationID.value)
		if err != nil {
			return payload{}, err
		}
		d, err := r.edit(ctx, c, sluice.StreamID(id), func(d *destination) (control.StreamPatch, error) {
			ns, err := r.lookup(ctx, path, kind)
			if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.NotFound || err == nil && ns == nil {
				return control.StreamPatch{}, unknown
			}
			if err != nil {
				return control.StreamPatch{}, err
			}
			return d.withFilter(ns.Namespace.Path)
		})
		if err != nil {
			return payload{}, err
		}
		list := d.filters()
		return payload{filter: list[len(list)-1]}, nil
	})
}

// withFilter is the change that adds a namespace to those that are wanted.
func (d *destination) withFilter(path string) (control.StreamPatch, error) {
	list := slices.Clone(d.stream.Filter.Namespaces)
	if d.class.legacy() && len(list) > 0 {
		return control.StreamPatch{}, sluice.Errorf(sluice.Conflict, "the destination has a namespace filter already").
			WithHint("delete it first, or use the consolidated API for several")
	}
	for _, other := range list {
		if sluice.FoldNamespace(other) == sluice.FoldNamespace(path) {
			return control.StreamPatch{}, sluice.Errorf(sluice.Conflict, "the destination has a filter for this namespace already")
		}
	}
	return filtersPatch(append(list, path)), nil
}

func filtersPatch(list []string) control.StreamPatch {
	return control.StreamPatch{Filter: &control.FilterPatch{Namespaces: &list}}
}

// deleteFilter removes a namespace from those that are wanted.
func (r *root) deleteFilter(ctx context.Context, c class, in input) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		n, err := c.filters().number(in.NamespaceFilterID.value)
		if err != nil {
			return payload{}, err
		}
		_, err = r.edit(ctx, c, whole(n), func(d *destination) (control.StreamPatch, error) {
			i := slices.IndexFunc(d.filters(), func(f *filter) bool { return f.number == n })
			if i < 0 {
				return control.StreamPatch{}, sluice.Errorf(sluice.NotFound, "there is no such filter")
			}
			return filtersPatch(slices.Delete(slices.Clone(d.stream.Filter.Namespaces), i, i+1)), nil
		})
		return payload{}, err
	})
}
