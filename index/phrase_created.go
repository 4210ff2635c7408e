package index

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Years that phrases may name: within them no bound is the zero time, and every
// one can be written with four digits.
const (
	firstYear = 1000
	lastYear  = 9999
)

const (
	expectMoment = "a day like 2024-01-31 or a time like 2024-01-31T10:00:00Z or 2024-01-31T10:00:00+02:00"
	expectRange  = "created:FIRST..LAST with a day or a time for each, one of them may be *"
)

func isCreated(key string) bool {
	return strings.EqualFold(key, "created") || strings.EqualFold(key, "created_at")
}

// readCreated reads times: one, one behind a comparison, or two with dots between.
// A day stands for all of it in UTC, a time for its minute, second or
// millisecond, so that <= and the last of a range include it.
func readCreated(l lexer, p part) (Clause, error) {
	v := p.value
	if first, last, ok := strings.Cut(v, ".."); ok {
		r, err := readSpan(l, p, first, last)
		return Clause{Ranges: []Range{r}}, err
	}
	if strings.HasPrefix(v, "[") || v == "*" {
		return Clause{}, l.wrong(p.valueAt, quoted(v)+" is no range", expectRange)
	}
	comparison := v[:len(v)-len(strings.TrimLeft(v, "<>="))]
	r, err := readMoment(l, p, len(comparison), v[len(comparison):])
	if err != nil {
		return Clause{}, err
	}
	switch comparison {
	case "":
	case ">":
		r = Range{From: r.To}
	case ">=":
		r = Range{From: r.From}
	case "<":
		r = Range{To: r.From}
	case "<=":
		r = Range{To: r.To}
	default:
		return Clause{}, l.wrong(p.valueAt, "there is no comparison "+quoted(comparison), ">, >=, < or <=")
	}
	return Clause{Ranges: []Range{r}}, nil
}

// readSpan reads the two ends of a range.
func readSpan(l lexer, p part, first, last string) (r Range, err error) {
	if first == "*" && last == "*" {
		return r, l.wrong(p.valueAt, "the range has no end", expectRange)
	}
	var from, to Range
	if first != "*" {
		if from, err = readMoment(l, p, 0, first); err != nil {
			return r, err
		}
	}
	if last != "*" {
		if to, err = readMoment(l, p, len(first)+len(".."), last); err != nil {
			return r, err
		}
	}
	r = Range{From: from.From, To: to.To}
	if first != "*" && last != "*" && !r.From.Before(r.To) {
		return r, l.wrong(p.valueAt, "the range ends before it starts", "the earlier of the two first")
	}
	return r, nil
}

// readMoment reads a day or a time that stands at an offset in the value.
func readMoment(l lexer, p part, offset int, s string) (Range, error) {
	from, unit, message := parseMoment(s)
	if message != "" {
		return Range{}, l.wrong(p.position(offset), message, expectMoment)
	}
	return Range{From: from, To: from.Add(unit)}, nil
}

// parseMoment returns when a day or a time begins and how long it lasts, or what
// is wrong with it.
func parseMoment(s string) (from time.Time, unit time.Duration, message string) {
	const day, clock = "2006-01-02", "2006-01-02T15:04"
	layout := day
	unit = 24 * time.Hour
	if upper := strings.ToUpper(s); len(s) > len(day) {
		s, layout, unit = upper, clock+"Z07:00", time.Minute
		if len(s) > len(clock) && s[len(clock)] == ':' {
			layout, unit = clock+":05Z07:00", time.Second
			unit /= time.Duration(pow10(fractionDigits(s)))
		}
		if !strings.ContainsAny(s[len(day):], "Z+-") {
			return from, 0, quoted(s) + " does not say in which zone (write + as %2B in addresses)"
		}
	}
	from, err := time.Parse(layout, s)
	switch {
	case err != nil || len(s) > len(day) && (len(s) < len(clock) || s[len(day)+3] != ':'):
		return from, 0, quoted(s) + " is no day and no time"
	case unit < time.Millisecond:
		return from, 0, quoted(s) + " is finer than a millisecond"
	}
	if from = from.UTC(); from.Year() < firstYear || from.Year() > lastYear {
		return from, 0, quoted(s) + " lies outside of the years 1000 to 9999"
	}
	return from, unit, ""
}

// fractionDigits counts the digits of the fraction of a second.
func fractionDigits(s string) int {
	_, fraction, _ := strings.Cut(strings.ReplaceAll(s, ",", "."), ".")
	return len(fraction) - len(strings.TrimLeft(fraction, "0123456789"))
}

// pow10 is exact to 10^9 and larger for more.
func pow10(n int) int64 {
	p := int64(1)
	for range min(n, 10) {
		p *= 10
	}
	return p
}

// mergeRanges returns the same time in as few ranges as can be, in order.
func mergeRanges(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To))
	})
	merged := ranges[:0]
	for _, r := range ranges {
		last := len(merged) - 1
		switch {
		case last < 0 || !merged[last].To.IsZero() && merged[last].To.Before(r.From):
			merged = append(merged, r)
		case r.To.IsZero() || merged[last].To.IsZero():
			merged[last].To = time.Time{}
		case r.To.After(merged[last].To):
			merged[last].To = r.To
		}
	}
	return merged
}
