package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/sluicelog/sluice/destination"
)

// fault returns what is wrong with a field as far as it can be told from the field
// alone, "" for nothing.
func (v *fieldView) fault() string {
	switch {
	case v.Required && v.Value == "" && !v.Set && !v.Held:
		return v.Label + " is required."
	case v.Type == destination.InputNumber && v.Value != "":
		n, err := strconv.Atoi(v.Value)
		if err != nil {
			return v.Label + " must be a whole number."
		}
		if v.Max > 0 && (n < v.Min || n > v.Max) {
			return fmt.Sprintf("%s must be %d to %d.", v.Label, v.Min, v.Max)
		}
	}
	return ""
}

// markFaults marks what else is wrong, beside what a refusal named, and lists the
// fields that are marked on top.
func (f *streamForm) markFaults() {
	wrong := func(v *fieldView) bool { return v.Problem != "" }
	focused := !f.Marked || !slices.ContainsFunc(f.fields(), wrong) // on top, or on what is no field
	for _, view := range f.fields() {
		view.Problem = cmp.Or(view.Problem, view.fault())
		if view.Problem == "" {
			continue
		}
		view.Focus, focused = !focused, true
		f.Problem.Fields = append(f.Problem.Fields, fieldLink{view.ID, view.Label})
	}
	f.MoreOpen = f.MoreOpen || slices.ContainsFunc(f.More, func(v fieldView) bool { return wrong(&v) })
}
