package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/store"
)

// Rules of claims: what must be unique, or bounded by numbered slots.
const (
	ruleToken        = "token"              // digest of a token's text
	ruleUser         = "user-name"          // folded name of a user
	ruleName         = "stream-name"        // namespace/name of a stream
	ruleVerification = "verification-token" // namespace/digest of a stream's verification token
	ruleSlot         = "stream-slot"        // namespace/1 to Config.StreamLimit
)

// errNotCreated says that a record is certainly not there.
var errNotCreated = errors.New("the record was not stored")

// create stores a record whose key was never used before. When the store's
// answer leaves open whether the record is there, it looks. Only an error that
// is errNotCreated promises that it is not.
func (s *Service) create(ctx context.Context, key string, record any) error {
	_, err := store.Save(ctx, s.store, key, record, 0)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	_, lookup := s.store.Get(ctx, key)
	switch {
	case lookup == nil:
		return nil
	case errors.Is(lookup, store.ErrNotFound):
		return fmt.Errorf("%w: %w", errNotCreated, err)
	}
	return err
}

// claim takes a value for the record that owner is the key of; the caller stores
// that record soon.
func (s *Service) claim(ctx context.Context, rule, value, owner string) error {
	return s.claimFrom(ctx, rule, value, owner, claimTimeout)
}

// claimFrom is claim that takes the value from an owner that is not there, if
// timeout has passed since that one claimed it.
func (s *Service) claimFrom(ctx context.Context, rule, value, owner string, timeout time.Duration) error {
	return store.Claim(ctx, s.store, rule, value, owner, func(ctx context.Context, holder string) (bool, error) {
		return s.holds(ctx, rule, value, holder)
	}, s.now(), timeout)
}

// release gives a value back. A claim that stays is void without its owner.
func (s *Service) release(ctx context.Context, rule, value, owner string) {
	if err := store.Release(context.WithoutCancel(ctx), s.store, rule, value, owner); err != nil {
		s.logger.WarnContext(ctx, "claim not released", "rule", rule, "owner", owner, "err", err)
	}
}

// holds reports whether the record that claimed a value is there and uses it.
func (s *Service) holds(ctx context.Context, rule, value, owner string) (bool, error) {
	uses := false
	var err error
	switch {
	case strings.HasPrefix(owner, streamRecords):
		var r streamRecord
		r, _, err = store.Load[streamRecord](ctx, s.store, owner)
		uses = !r.Ended && (rule != ruleName || r.nameClaim() == value)
	case strings.HasPrefix(owner, userRecords):
		_, _, err = store.Load[userRecord](ctx, s.store, owner)
		uses = true // users stay
	default:
		var r tokenRecord
		r, _, err = store.Load[tokenRecord](ctx, s.store, owner)
		uses = !r.gone()
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && uses, err
}

// checkTopLevel reports why the namespace cannot own streams and tokens.
func checkTopLevel(namespace string) error {
	if namespace == sluice.Instance {
		return nil
	}
	if err := checkPath(namespace); err != nil {
		return err
	}
	if sluice.TopLevel(namespace) != namespace {
		return sluice.Errorf(sluice.Invalid, "namespace must be a top-level namespace").
			WithHint("use %q; what lies below is chosen with a filter", sluice.TopLevel(namespace))
	}
	return nil
}

// checkPath reports why path is not a namespace that events can belong to.
func checkPath(path string) error {
	if err := sluice.CheckNamespace(path); err != nil {
		return sluice.Errorf(sluice.Invalid, "%v", err).WithHint("a namespace is a path such as acme/platform/api")
	}
	if sluice.FoldNamespace(path) == instancePath {
		return sluice.Errorf(sluice.Invalid, "%s stands for the installation", instancePath).WithHint(`the namespace of the installation is ""`)
	}
	return nil
}

func hasControl(s string) bool { return strings.IndexFunc(s, unicode.IsControl) >= 0 }
