package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrTaken means that another owner holds the value.
var ErrTaken = errors.New("already taken")

// errKept ends an update of a claim that is somebody else's to keep.
var errKept = errors.New("held by another owner")

// claim is the record that holds a value for its owner. The record's key is the
// rule and the value, so that two claimers meet in one compare-and-set.
type claim struct {
	Owner string    `json:"owner"`
	At    time.Time `json:"at"`
}

// Claim takes value under a rule for owner, before owner's own record is
// created: "the name of a stream is unique in its namespace" is a rule whose
// values are names, "at most 5 streams" one whose values are 1 to 5. It answers
// [ErrTaken] when another owner holds the value, and nil when owner does, so it
// can be repeated.
//
// A claim has no effect without its owner. It binds others for timeout from now,
// the time in which owner must be created; afterwards only while ownerExists
// says so. A claim whose owner never came to be, for its process was killed in
// between, is void and goes to the next who asks. Therefore the caller must not
// create owner later than timeout after now, and must take a new owner name for
// each attempt; timeout covers the differences between clocks.
//
// Values that mean the same must be equal: fold them before. They may be of any
// length. A rule is a short text without '/'.
func Claim(ctx context.Context, s Store, rule, value, owner string,
	ownerExists func(ctx context.Context, owner string) (bool, error),
	now time.Time, timeout time.Duration,
) error {
	mine := claim{Owner: owner, At: now.UTC()}
	err := update(ctx, s, claimKey(rule, value), func(old []byte) ([]byte, error) {
		if old == nil {
			return json.Marshal(mine)
		}
		var held claim
		if err := json.Unmarshal(old, &held); err != nil {
			return nil, err
		}
		if held.Owner == owner && !now.After(held.At) {
			return old, nil
		}
		if held.Owner == owner {
			return json.Marshal(mine) // its time begins anew
		}
		if now.Sub(held.At) < timeout {
			return nil, ErrTaken
		}
		exists, err := ownerExists(ctx, held.Owner)
		if err != nil {
			return nil, fmt.Errorf("look up owner %q: %w", held.Owner, err)
		}
		if exists {
			return nil, ErrTaken
		}
		return json.Marshal(mine)
	})
	if err != nil {
		return fmt.Errorf("claim %s %q: %w", rule, value, err)
	}
	return nil
}

// Release gives value back when owner holds it, and does nothing otherwise. It
// is called after owner's record is gone.
func Release(ctx context.Context, s Store, rule, value, owner string) error {
	err := update(ctx, s, claimKey(rule, value), func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, nil
		}
		var held claim
		if err := json.Unmarshal(old, &held); err != nil {
			return nil, err
		}
		if held.Owner != owner {
			return nil, errKept
		}
		return nil, nil
	})
	if err != nil && !errors.Is(err, errKept) {
		return fmt.Errorf("release %s %q: %w", rule, value, err)
	}
	return nil
}

// claimKey is the key of a claim. A value that is too long for a key, or is not
// text, is named by its digest; the sign in front keeps the two apart.
func claimKey(rule, value string) string {
	key := "claim/" + rule + "/=" + value
	if (Change{Key: key}).Check() == nil {
		return key
	}
	digest := sha256.Sum256([]byte(value))
	return "claim/" + rule + "/#" + hex.EncodeToString(digest[:])
}
