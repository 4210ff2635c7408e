package control

import (
	"context"

	"github.com/sluicelog/sluice"
)

// FindNamespace returns one namespace that p may see. What nobody has named yet
// is not found.
func (s *Service) FindNamespace(_ context.Context, p Principal, path string) (Namespace, error) {
	folded := sluice.FoldNamespace(path)
	if folded == sluice.Instance {
		return Namespace{}, errNotFound()
	}
	if err := authorize(p, actionReadNamespaces, folded); err != nil {
		return Namespace{}, err
	}
	k, ok := s.namespaces.get(folded)
	if !ok {
		return Namespace{}, errNotFound()
	}
	return k.view(), nil
}

// ChangesStreams returns nil when p may change the streams of a namespace, "" for
// the instance, so that surfaces need not judge a request of one who may not.
func ChangesStreams(p Principal, namespace string) error {
	return authorize(p, actionManageStreams, sluice.FoldNamespace(namespace))
}
