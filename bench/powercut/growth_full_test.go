//go:build linux

package powercut_test

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

const (
	// floor is what the server leaves free, with segments of 4 MiB, for control state
	// and its own events.
	floor = 64 << 20
	// noticed is how long it may take events when less is free: it looks twice a second.
	noticed = 10 * time.Second
	// missed is how far from the floor the free space may be when posts are refused:
	// the log grows by whole segments, and others write meanwhile.
	missed = 16 << 20
	// batch is how many events fill the disk quickly: half a MiB.
	batch = 64
)

// whileFull fills the disk as far as the server lets the log do so, and looks whether
// deliveries, reads, changes and what the log tells of them go on.
func (g *growth) whileFull(ctx context.Context, name string) error {
	if err := g.fill(ctx); err != nil {
		return err
	}
	if _, err := g.Admin.FindEvents(ctx, client.EventQuery{Limit: 1}); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	token, err := g.Admin.CreateToken(ctx, client.TokenSpec{Kind: "producer", Name: name})
	if err != nil {
		return fmt.Errorf("change: %w", err)
	}
	if err := await(ctx, "deliveries", func(ctx context.Context) error {
		if !g.has("/busy", fmt.Sprintf("token.create %v", token.ID)) {
			return fmt.Errorf("the creation of token %v has not arrived", token.ID)
		}
		return g.delivered(ctx, g.busy, "/busy")
	}); err != nil {
		return err
	}
	return g.fill(ctx) // it is full still, or again
}

// fill posts until posts are refused: soon after less than the floor is free, while
// nearly all of that still is, and not before. Below the floor it posts little, so
// that a server that takes what it should refuse does not meet the end of the disk.
func (g *growth) fill(ctx context.Context) error {
	var below time.Time
	for events := batch; ; {
		began, err := g.free()
		if err != nil {
			return err
		}
		full, err := g.post(ctx, events)
		if err != nil {
			return fmt.Errorf("post with %d bytes free: %w", began, err)
		}
		free, err := g.free()
		switch {
		case err != nil:
			return err
		case full && max(began, free) > floor+missed:
			return fmt.Errorf("a post is refused with %d bytes free, the floor is %d", free, floor)
		case free < floor-missed:
			return fmt.Errorf("%d bytes are left free, want the floor of %d", free, floor)
		case full:
			return nil
		case free >= floor:
			below, events = time.Time{}, batch
		case below.IsZero():
			below, events = time.Now(), 1
		case time.Since(below) > noticed:
			return fmt.Errorf("posts are accepted %v after less than the floor of %d bytes was free (%d now)", time.Since(below), floor, free)
		default:
			server.Pause(ctx, 50*time.Millisecond)
		}
	}
}

// free returns the bytes of the disk that the server may take.
func (g *growth) free() (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(g.disk.Path(), &st)
	return int64(st.Bavail) * st.Bsize, err
}

// remembered holds that the full disk had room for the cursor of the stream that
// went on: after a kill only the last of what it had delivered comes again.
func (g *growth) remembered() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if again := g.again["/busy"]; again > len(g.acked)/10 {
		return fmt.Errorf("%d of %d events came again after a kill: the cursor was not stored", again, len(g.acked))
	}
	return nil
}
