package manifest

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicelog/sluice/client"
)

// carrier is what changes are carried out with.
type carrier struct {
	client *client.Client
	dir    string
}

// Carrying says how to carry a plan out.
type Carrying struct {
	Client *client.Client
	// SecretDir is the folder that keeps the secrets that are made, a file each;
	// "" when none is.
	SecretDir string
	// Done, unless nil, is told of each change after it was made; remark may be "".
	Done func(c *Change, remark string)
}

// ErrNotBegun says that a plan was not carried out: not even its first change, if
// it has any, was tried.
var ErrNotBegun = errors.New("nothing was changed")

// Carry carries the plan out, in order, up to the first change that fails. It
// returns how many were made. Nothing was tried when the error is [Problems] or
// [ErrNotBegun]. What was made stays: the same manifest, applied again, goes on
// with the rest.
func (p *Plan) Carry(ctx context.Context, how Carrying) (made int, err error) {
	if !p.Whole {
		return 0, fmt.Errorf("the plan is not whole: %w", ErrNotBegun)
	}
	if err := p.prepare(how.SecretDir); err != nil {
		return 0, err
	}
	c := &carrier{client: how.Client, dir: how.SecretDir}
	for i := range p.Changes {
		change := &p.Changes[i]
		remark := ""
		err := patiently(ctx, func() (err error) { remark, err = change.run(ctx, c); return err })
		if err != nil {
			return i, fmt.Errorf("%s %s: %w", change.Action, change.Thing, err)
		}
		if how.Done != nil {
			how.Done(change, remark)
		}
	}
	return len(p.Changes), nil
}

// Check has the server check every destination that the plan would save: reached,
// authenticated, accepted. It changes nothing, but some kinds get a test event.
// Each outcome is told; ok says whether all passed.
func (p *Plan) Check(ctx context.Context, c *client.Client, told func(*Change, client.CheckResult)) (ok bool, err error) {
	ok = true
	for i := range p.Changes {
		change := &p.Changes[i]
		if change.check == nil {
			continue
		}
		var r client.CheckResult
		err := patiently(ctx, func() (err error) { r, err = change.check(ctx, c); return err })
		if err != nil {
			return false, fmt.Errorf("check %s: %w", change.Thing, err)
		}
		ok = ok && r.OK
		told(change, r)
	}
	return ok, nil
}
