package control

import (
	"context"

	"github.com/sluicelog/sluice/destination"
)

// KindForm is a kind of destination as people see it: what they prepare, and what
// they enter for a stream to it.
type KindForm struct {
	Name string `json:"name"`
	destination.Form
}

// KindForms describes the kinds of destinations on offer. Everybody may know them.
func (s *Service) KindForms(context.Context, Principal) ([]KindForm, error) {
	out := make([]KindForm, 0, len(s.kindList))
	for _, name := range s.kindList {
		k := KindForm{Name: name, Form: destination.Form{Title: name}}
		if d, ok := s.kinds[name].(destination.Described); ok {
			k.Form = d.Form()
		}
		k.Notes, k.Inputs = append([]string{}, k.Notes...), append([]destination.Input{}, k.Inputs...)
		out = append(out, k)
	}
	return out, nil
}
