package resttest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// CheckExamples compares every example of a parameter, header or body with its
// schema.
func (d *Document) CheckExamples() error { return d.checkExamples("", d.root) }

func (d *Document) checkExamples(place string, v any) error {
	var errs []error
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			errs = append(errs, d.checkExamples(place+pointer(strconv.Itoa(i)), e))
		}
	case object:
		if _, ok := v["schema"].(object); ok {
			for name, example := range examplesOf(v) {
				if err := d.check(place+"/schema", example); err != nil {
					errs = append(errs, fmt.Errorf("%s of %s: %w", name, place, err))
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name != "example" && name != "examples" {
				errs = append(errs, d.checkExamples(place+pointer(name), v[name]))
			}
		}
	}
	return errors.Join(errs...)
}

func examplesOf(owner object) map[string]any {
	out := map[string]any{}
	if example, ok := owner["example"]; ok {
		out["the example"] = example
	}
	for name := range at(owner, "examples") {
		out["example "+name] = at(at(owner, "examples"), name)["value"]
	}
	return out
}
