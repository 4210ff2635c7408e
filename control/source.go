package control

import "github.com/sluicelog/sluice"

// SourceName returns the name of the producer's token with this id, which is the
// source of events. Who may not see the token is told that there is none.
func (s *Service) SourceName(p Principal, source string) (string, error) {
	if err := authorizeSomewhere(p, actionReadTokens); err != nil {
		return "", err
	}
	t := s.tokens.get(source)
	if t == nil || !may(p, actionReadTokens, sluice.FoldNamespace(t.record.Namespace)) {
		return "", errNotFound()
	}
	return t.record.Name, nil
}
