package web

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
)

// What is held for forms is for the session that entered it, ends, and is bounded.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, jane, eve := newHeld(), holder{"jane", "s"}, holder{"eve", "s"}
		number := h.keep(jane, "", map[string]secret.Text{"secrets.token": "s3cret"})
		if got := h.get(jane, number)["secrets.token"]; got.Reveal() != "s3cret" {
			t.Errorf("got %q, want what was held", got.Reveal())
		}
		if h.get(eve, number) != nil || h.get(holder{"jane", "another"}, number) != nil || h.get(jane, "") != nil || h.get(jane, "x") != nil {
			t.Error("somebody else gets what was held")
		}
		if got := h.keep(jane, number, map[string]secret.Text{"secrets.token": "other"}); got != number {
			t.Errorf("got the number %q, want that the form keeps its own", got)
		}
		if got := h.keep(eve, number, map[string]secret.Text{"x": "y"}); got == number {
			t.Error("a number of somebody else's form is taken")
		}
		time.Sleep(heldLife - time.Second)
		if h.get(jane, number) == nil {
			t.Error("it is gone too early")
		}
		time.Sleep(time.Second)
		if h.get(jane, number) != nil || len(h.forms) != 0 {
			t.Error("it is held for too long")
		}
		number = h.keep(jane, "", map[string]secret.Text{"x": "y"})
		if h.drop(jane, number); h.get(jane, number) != nil {
			t.Error("it is held after it was dropped")
		}
		if h.keep(jane, "", nil) != "" || h.keep(jane, "", map[string]secret.Text{"x": secret.Text(strings.Repeat("y", maxHeldBytes))}) != "" {
			t.Error("nothing, or too much, is held")
		}
		first := h.keep(jane, "", map[string]secret.Text{"x": "y"})
		for i := range maxHeldEach {
			time.Sleep(time.Millisecond)
			h.keep(holder{"jane", fmt.Sprint(i)}, "", map[string]secret.Text{"x": "y"})
		}
		if h.get(jane, first) != nil || len(h.forms) != maxHeldEach {
			t.Errorf("got %d forms of a user, want %d and not the oldest", len(h.forms), maxHeldEach)
		}
		for i := range maxHeld {
			time.Sleep(time.Millisecond)
			h.keep(holder{fmt.Sprint("user", i), "s"}, "", map[string]secret.Text{"x": "y"})
		}
		if len(h.forms) != maxHeld {
			t.Errorf("got %d forms, want %d", len(h.forms), maxHeld)
		}
	})
}

func TestLedgerBar(t *testing.T) {
	for _, c := range []struct {
		ledger sluice.Ledger
		words  string
		widths string
	}{
		{sluice.Ledger{}, "no events yet", "[0 0 0 0 0]"},
		{sluice.Ledger{Accepted: 10, Delivered: 10}, "10 delivered", "[1000 0 0 0 0]"},
		{sluice.Ledger{Accepted: 1_000_000, Delivered: 999_996, Filtered: 1, Pending: 1, Quarantined: 1, Expired: 1},
			"999,996 delivered · 1 filtered · 1 pending · 1 quarantined · 1 expired", "[952 12 12 12 12]"},
		{sluice.Ledger{Accepted: 3, Delivered: 1, Pending: 2}, "1 delivered · 2 pending", "[333 0 667 0 0]"},
	} {
		got := ledgerOf(&c.ledger)
		var widths []int
		end := 0
		for _, p := range got.Parts {
			if widths = append(widths, p.Width); p.Width > 0 && p.X != end {
				t.Errorf("%+v: %s begins at %d, want %d", c.ledger, p.Name, p.X, end)
			}
			end += p.Width
		}
		if got.Words != c.words || fmt.Sprint(widths) != c.widths {
			t.Errorf("%+v: got %q and %v, want %q and %s", c.ledger, got.Words, widths, c.words, c.widths)
		}
	}
}

func TestSparkline(t *testing.T) {
	if got := sparkOf(make([]uint64, 24)); got.Points != "" || got.Words != "0 delivered in the last 24 hours" {
		t.Errorf("got %+v, want no line", got)
	}
	hours := make([]uint64, 24)
	hours[0], hours[23] = 5, 1000
	if got := sparkOf(hours); !strings.HasPrefix(got.Points, "0,22 4,22 ") || !strings.HasSuffix(got.Points, " 96,2") || got.Words != "1,005 delivered in the last 24 hours" {
		t.Errorf("got %+v", got)
	}
}
