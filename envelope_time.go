package sluice

import "time"

// Milliseconds since 1970 of the first and the last instant of the years 1 to 9999.
const (
	firstMillis = -62135596800000
	lastMillis  = 253402300799999
)

// parseMillis reads whole milliseconds since 1970.
func parseMillis(b []byte) (time.Time, bool) {
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) > len("253402300799999") {
		return time.Time{}, false
	}
	var ms int64
	for _, c := range b {
		if !isDigit(c) {
			return time.Time{}, false
		}
		ms = 10*ms + int64(c-'0')
	}
	if negative {
		ms = -ms
	}
	return time.UnixMilli(ms).UTC(), ms >= firstMillis && ms <= lastMillis
}

// parseTime reads an RFC 3339 date-time with any fraction, of which nanoseconds
// are kept, and any offset. A leap second is the first of the next day.
func parseTime(b []byte) (time.Time, bool) {
	const form = "2006-01-02T15:04:05"
	if len(b) <= len(form) || b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, false
	}
	year, month, day := number(b[0:4]), number(b[5:7]), number(b[8:10])
	hour, minute, second := number(b[11:13]), number(b[14:16]), number(b[17:19])
	nanos, rest := fraction(b[len(form):])
	offset, ok := zone(rest)
	if !ok || year < 0 || month < 1 || month > 12 || day < 1 ||
		uint(hour) > 23 || uint(minute) > 59 || uint(second) > 60 {
		return time.Time{}, false
	}
	if day > 28 && day > daysIn(year, month) {
		return time.Time{}, false
	}
	seconds := int64(days(year, month, day))*secondsPerDay + int64((hour*60+minute-offset)*60+second)
	if second == 60 && seconds%secondsPerDay != 0 {
		return time.Time{}, false
	}
	return time.Unix(seconds, int64(nanos)).UTC(), seconds >= firstMillis/1000 && seconds <= lastMillis/1000
}

const secondsPerDay = 24 * 60 * 60

func daysIn(year, month int) int {
	if month == 12 {
		return 31
	}
	return days(year, month+1, 1) - days(year, month, 1)
}

// days returns how many days lie between 1970-01-01 and a day of the Gregorian
// calendar. It counts in years that begin with March: their last day is the leap
// day, and their months begin after 0, 31, 61, 92, ... days.
func days(year, month, day int) int {
	if month -= 3; month < 0 {
		month += 12
		year--
	}
	year += 400 // so that divisions round down in the year 0 too
	return 365*year + year/4 - year/100 + year/400 + (153*month+2)/5 + day - 1 - 865565
}

// number reads digits, -1 when b holds anything else.
func number(b []byte) int {
	n := 0
	for _, c := range b {
		if !isDigit(c) {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// fraction reads a fraction of a second, if one is there, in nanoseconds. A dot
// without digits stays in rest, where no zone begins with it.
func fraction(b []byte) (nanos int, rest []byte) {
	if len(b) < 2 || b[0] != '.' || !isDigit(b[1]) {
		return 0, b
	}
	unit := int(time.Second)
	for b = b[1:]; len(b) > 0 && isDigit(b[0]); b = b[1:] {
		unit /= 10
		nanos += unit * int(b[0]-'0')
	}
	return nanos, b
}

// zone reads Z or an offset from UTC, in minutes.
func zone(b []byte) (minutes int, ok bool) {
	if len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if len(b) != len("+07:00") || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, m := number(b[1:3]), number(b[4:6])
	if uint(h) > 23 || uint(m) > 59 {
		return 0, false
	}
	if minutes = 60*h + m; b[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}
