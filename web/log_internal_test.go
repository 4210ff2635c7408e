package web

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
)

// JSON that is set out says the same, down to the digits, and can be cut anywhere.
func TestPretty(t *testing.T) {
	for _, src := range []string{
		`{}`, `{"a":[]}`, `{"a":{"b":[1,-0.0,1e400,"x"],"c":null},"d":[[],{}],"":true}`, `{"a\"b\\":"\\","ü":"\u0000","c":"{[,:]}"}`, `{"a":"😀"}`,
	} {
		text, cut := pretty([]byte(src), 1<<20)
		var back strings.Builder
		quoted := false
		for i := 0; i < len(text); i++ {
			switch c := text[i]; {
			case quoted && c == '\\':
				back.WriteByte(c)
				i++
			case c == '"':
				quoted = !quoted
			case !quoted && (c == ' ' || c == '\n'):
				continue
			}
			back.WriteByte(text[i])
		}
		if cut || back.String() != src || !json.Valid([]byte(text)) {
			t.Errorf("%s: got %s, cut: %v", src, text, cut)
		}
		for limit := range len(text) {
			part, cut := pretty([]byte(src), limit)
			if !cut && part != text || !strings.HasPrefix(text, part) || len(part) > limit+2*maxIndent+2 {
				t.Errorf("%s: at most %d bytes: got %q, cut: %v", src, limit, part, cut)
			}
		}
	}
	for src, want := range map[string]string{
		"{\"a\":\"x\u202ey\u200bz\"}": `x\u202ey\u200bz`, "{\"a\":\"\U000e0041\"}": `\udb40\udc41`, "{\"a\":\"\u0085\u2028\"}": `\u0085\u2028`,
	} {
		if text, _ := pretty([]byte(src), 100); !strings.Contains(text, want) {
			t.Errorf("%q: got %q, want %s in it", src, text, want)
		}
	}
	if text, cut := pretty([]byte(strings.Repeat("[", 100)+strings.Repeat("]", 100)), 1<<20); cut || strings.Count(text, "\n") < 190 || len(text) > 200*(2*maxIndent+2) {
		t.Errorf("deep JSON: got %d bytes", len(text))
	}
}

func TestEventNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"audit-1": true, "git-18446744073709551615": true, "audit-tenant-7": true, "audit": false, "audit-": false, "audit-01": false, "audit-+1": false, "audit- 1": false,
		"": false, "audit-18446744073709551616": false,
	} {
		partition, seq, got := parseEventName(name)
		if got != ok || ok && eventName(&control.FoundEvent{Partition: partition, Seq: seq}) != name {
			t.Errorf("%q: got %q and %d, read: %v", name, partition, seq, got)
		}
	}
}

// No more counts are remembered than there is room for, and none for too long.
func TestCountsAreBounded(t *testing.T) {
	c, now := newCounts(nil, nil), time.Unix(1_000_000, 0)
	for i := range 3 * maxCounts {
		c.keep(control.EventCountQuery{Phrase: fmt.Sprint(i)}, counted{}, now, time.Minute+time.Duration(i))
	}
	if _, ok := c.kept[control.EventCountQuery{Phrase: fmt.Sprint(3*maxCounts - 1)}]; len(c.kept) != maxCounts || !ok {
		t.Errorf("got %d counts, the last among them: %v; want %d", len(c.kept), ok, maxCounts)
	}
	c.keep(control.EventCountQuery{}, counted{}, now.Add(time.Hour), time.Minute)
	if len(c.kept) != 1 {
		t.Errorf("an hour later: got %d counts, want the new one", len(c.kept))
	}
}

// What an index counts that does not know all events is not remembered for long.
func TestCountsOfAPartOfTheEvents(t *testing.T) {
	for _, c := range []struct {
		took time.Duration
		out  control.EventCounts
		want time.Duration
	}{
		{time.Millisecond, control.EventCounts{}, time.Second},
		{time.Second, control.EventCounts{LagSeconds: 10}, mostCount},
		{time.Second, control.EventCounts{LagSeconds: 3600}, leastCount},
		{time.Second, control.EventCounts{Incomplete: true}, leastCount},
	} {
		if got := rememberFor(c.took, &c.out); got != c.want {
			t.Errorf("%s and %+v: got %s, want %s", c.took, c.out, got, c.want)
		}
	}
}

// What is asked for more than once waits once, and no more wait than may.
func TestCountingIsBounded(t *testing.T) {
	c := newCounts(nil, nil)
	for i := range 4 * maxCounting {
		c.ask(counting{query: control.EventCountQuery{Phrase: fmt.Sprint(i / 2)}})
	}
	if len(c.waiting) != maxCounting || len(c.asked) != maxCounting {
		t.Errorf("got %d that wait, %d of them known, want %d", len(c.waiting), len(c.asked), maxCounting)
	}
}

// A search that is offered for events of streams has to find some: the manual says
// which Sluice writes.
func TestPresetsNameOurEvents(t *testing.T) {
	manual, err := os.ReadFile("../docs/api/native.md")
	if err != nil {
		t.Fatal(err)
	}
	_, written, _ := strings.Cut(string(manual), "## What the API tells about itself")
	found := 0
	for _, p := range presets() {
		for _, name := range p.types {
			if !strings.HasPrefix(name, "stream.") {
				continue
			}
			if found++; !strings.Contains(written, "`"+name+"`") {
				t.Errorf("%s: nothing writes %s", p.Label, name)
			}
		}
	}
	if found == 0 {
		t.Error("no preset names an event of a stream")
	}
}
