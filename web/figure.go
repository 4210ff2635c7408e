package web

import (
	"fmt"
	"strconv"
	"time"
)

// count writes a number with commas between thousands. It takes every integer
// type.
func count(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if digits != "" && digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// size writes a number of bytes for people.
func size(bytes uint64) string {
	if bytes < 1024 {
		return strconv.FormatUint(bytes, 10) + " B"
	}
	value, unit := float64(bytes)/1024, "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB", "PiB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1024, next
	}
	return short(value) + " " + unit
}

// short writes a number with about three digits.
func short(value float64) string {
	switch {
	case value > 0 && value < 0.01:
		return "less than 0.01"
	case value > 0 && value < 0.995:
		return strconv.FormatFloat(value, 'f', 2, 64)
	case value < 9.95 && value != float64(int(value)):
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return count(int64(value + 0.5))
}

// lasting writes a duration for people, with its two largest units at most.
func lasting(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than 1 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return both(d, time.Hour, "h", time.Minute, "min")
	}
	return both(d, 24*time.Hour, "d", time.Hour, "h")
}

func both(d, large time.Duration, name string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%s %s", count(int64(d/large)), name)
	if rest := d % large / small; rest > 0 && d < 10*large {
		text += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return text
}
