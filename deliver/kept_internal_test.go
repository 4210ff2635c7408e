package deliver

import (
	"testing"
	"time"
)

func TestKeptUntil(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		keep     Retention
		accepted time.Time
		want     time.Time
	}{
		"for ever":               {Retention{}, now, time.Time{}},
		"longer than entitled":   {Retention{Age: 180 * day}, now, now.Add(180 * day)},
		"shorter than entitled":  {Retention{Age: 7 * day}, now, now.Add(8 * day)},
		"an old event":           {Retention{Age: 180 * day}, now.Add(-175 * day), now.Add(8 * day)},
		"as many bytes as fit":   {Retention{Age: 180 * day, Bytes: 1 << 30}, now, now.Add(8 * day)},
		"bytes without any time": {Retention{Bytes: 1 << 30}, now, now.Add(8 * day)},
	} {
		if got := c.keep.until(now.Add(8*day), c.accepted); !got.Equal(c.want) {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
