package main

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice/web"
)

// The types below are flag.Values over the fields of a Config. They also parse
// the environment and the configuration file, so that one spelling holds
// everywhere.

type stringValue struct{ p *string }

func (v stringValue) Set(s string) error { *v.p = s; return nil }
func (v stringValue) String() string     { return deref(v.p) }

type choiceValue struct {
	p     *string
	words []string
}

func (v choiceValue) String() string { return deref(v.p) }
func (v choiceValue) Set(s string) error {
	if !slices.Contains(v.words, s) {
		return fmt.Errorf("must be one of %s", strings.Join(v.words, ", "))
	}
	*v.p = s
	return nil
}

type boolValue struct{ p *bool }

func (v boolValue) IsBoolFlag() bool { return true }
func (v boolValue) String() string   { return strconv.FormatBool(deref(v.p)) }
func (v boolValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("must be true or false")
	}
	*v.p = b
	return nil
}

type countValue struct{ p *int }

func (v countValue) String() string { return strconv.Itoa(deref(v.p)) }
func (v countValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("must be a whole number, 0 or more")
	}
	*v.p = n
	return nil
}

type levelValue struct{ p *slog.Level }

func (v levelValue) String() string { return strings.ToLower(deref(v.p).String()) }
func (v levelValue) Set(s string) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, ok := levels[strings.ToLower(s)]
	if !ok {
		return fmt.Errorf("must be one of debug, info, warn, error")
	}
	*v.p = l
	return nil
}

// sizeValue is a number of bytes.
type sizeValue struct{ p *int64 }

func (v sizeValue) String() string { return formatSize(deref(v.p)) }
func (v sizeValue) Set(s string) error {
	n, err := parseSize(s)
	if err != nil {
		return err
	}
	*v.p = n
	return nil
}

type sizeUnit struct {
	suffix string
	shift  uint
}

func sizeUnits() []sizeUnit {
	return []sizeUnit{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}, {"", 0}}
}

// parseSize reads a size such as "64MiB", "512 KiB" or "1048576".
func parseSize(s string) (int64, error) {
	for _, u := range sizeUnits() {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64>>u.shift {
			break
		}
		return n << u.shift, nil
	}
	return 0, fmt.Errorf("must be a size such as 64MiB (units KiB, MiB, GiB, TiB, or bytes without a unit)")
}

func formatSize(n int64) string {
	for _, u := range sizeUnits() {
		if n != 0 && u.suffix != "" && n%(1<<u.shift) == 0 && u.shift > 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// durationValue is a time span that may count in days.
type durationValue struct{ p *time.Duration }

func (v durationValue) String() string { return formatDuration(deref(v.p)) }
func (v durationValue) Set(s string) error {
	d, err := parseDuration(s)
	if err != nil {
		return err
	}
	*v.p = d
	return nil
}

const day = 24 * time.Hour

// parseDuration reads a time span such as "180d", "7d12h" or "90s".
func parseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("must be a time span such as 180d, 12h, 30m or 10s")
	var total time.Duration
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n < 0 || n > int64(math.MaxInt64/day) {
			return 0, bad
		}
		total, s = time.Duration(n)*day, rest
		if s == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || total+d < total {
		return 0, bad
	}
	return total + d, nil
}

func formatDuration(d time.Duration) string {
	days, rest := d/day, d%day
	switch {
	case days > 0 && rest == 0:
		return fmt.Sprintf("%dd", days)
	case days > 0:
		return fmt.Sprintf("%dd%s", days, formatDuration(rest))
	}
	text := d.String()
	for _, zero := range []string{"0s", "0m"} {
		if short, ok := strings.CutSuffix(text, zero); ok && short != "" && !isDigit(short[len(short)-1]) {
			text = short
		}
	}
	return text
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// originValue is where browsers reach the server.
type originValue struct{ p *web.Origin }

func (v originValue) String() string { return deref(v.p).String() }
func (v originValue) Set(s string) error {
	o, err := web.ParseOrigin(s)
	*v.p = o
	return err
}

// prefixesValue is a list of networks, by commas; setting it again adds to it.
type prefixesValue struct{ p *[]netip.Prefix }

func (v prefixesValue) String() string {
	var words []string
	for _, p := range deref(v.p) {
		words = append(words, p.String())
	}
	return strings.Join(words, ",")
}

func (v prefixesValue) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		p, err := parsePrefix(strings.TrimSpace(word))
		if err != nil {
			return err
		}
		*v.p = append(*v.p, p)
	}
	return nil
}

// parsePrefix reads a network or a single address.
func parsePrefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("must be networks such as 10.0.0.0/8, got %q", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// listValue is a list of words; setting it again adds to it.
type listValue struct{ p *[]string }

func (v listValue) String() string     { return strings.Join(deref(v.p), ",") }
func (v listValue) Set(s string) error { *v.p = append(*v.p, s); return nil }

// deref is what *p is, and zero when p is nil: the flag package asks the zero
// value of every flag.Value for its text.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
