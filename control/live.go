package control

import (
	"context"
	"sync"

	"github.com/sluicelog/sluice/search"
)

const (
	maxLive       = 64 // readers at once
	maxTenantLive = 16 // of one top-level namespace, or of the instance
)

// Gap is a part of the log that a live reader has not seen.
type Gap = search.Gap

// Live is a reader that follows the log. Its methods are called by one goroutine
// at a time; Close always.
type Live struct {
	*search.Live
	close func()
}

// Close ends the reader. It may be called more than once.
func (l *Live) Close() { l.close() }

// Follow begins to follow the events that a phrase finds in a namespace and below,
// "" being everything that the caller may see, of a class ("" is both), behind a
// cursor of Events or of an earlier reader, or from now on. Who may not see a namespace is told what one is
// told who asks for one that is not there.
func (s *Service) Follow(ctx context.Context, p Principal, namespace, phrase, class, after string) (*Live, error) {
	query, err := s.searchQuery(p, namespace, phrase)
	if err != nil {
		return nil, err
	}
	partition, err := s.partitionOf(class)
	if err != nil {
		return nil, err
	}
	tenant := tenantOf(p, namespace)
	if err := s.readers.enter(tenant); err != nil {
		return nil, err
	}
	leave := sync.OnceFunc(func() { s.readers.leave(tenant) })
	l, err := s.cfg.Search.Follow(ctx, query, partition, after)
	if err != nil {
		leave()
		return nil, err
	}
	return &Live{Live: l, close: leave}, nil
}
