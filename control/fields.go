package control

import (
	"encoding/json"
	"slices"
	"strings"
)

// fields is a map of few members in little memory: a Go map of one string takes
// 340 bytes, and there are tens of thousands of streams. It is written as an object.
type fields[V any] []field[V]

type field[V any] struct {
	name  string
	value V
}

// get returns the value of a member.
func (f fields[V]) get(name string) (v V, ok bool) {
	for i := range f {
		if f[i].name == name {
			return f[i].value, true
		}
	}
	return v, false
}

// set adds a member, or replaces its value.
func (f *fields[V]) set(name string, v V) {
	for i := range *f {
		if (*f)[i].name == name {
			(*f)[i].value = v
			return
		}
	}
	*f = append(*f, field[V]{name, v})
}

// asMap returns the members as a map of its own.
func (f fields[V]) asMap() map[string]V {
	m := make(map[string]V, len(f))
	for i := range f {
		m[f[i].name] = f[i].value
	}
	return m
}

// MarshalJSON implements [json.Marshaler].
func (f fields[V]) MarshalJSON() ([]byte, error) {
	if f == nil {
		return []byte("null"), nil
	}
	return json.Marshal(f.asMap())
}

// UnmarshalJSON implements [json.Unmarshaler]. Members come in order of their names.
func (f *fields[V]) UnmarshalJSON(text []byte) error {
	var m map[string]V
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*f = nil
	if m == nil {
		return nil
	}
	*f = make(fields[V], 0, len(m))
	for name, v := range m {
		*f = append(*f, field[V]{name, v})
	}
	slices.SortFunc(*f, func(a, b field[V]) int { return strings.Compare(a.name, b.name) })
	return nil
}
