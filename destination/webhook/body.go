package webhook

import "github.com/sluicelog/sluice/destination"

var newline = []byte{'\n'}

// lines returns the events as lines. Events that lie one behind the other in
// memory, with the line end that follows each, become one slice: of a batch
// that is a part of a block, nothing is copied.
func lines(events []destination.Event) *destination.Body {
	var parts [][]byte
	var run []byte
	for i := range events {
		p := events[i].Payload
		if next, ok := extend(run, p); ok {
			run = next
			continue
		}
		if run != nil {
			parts = append(parts, run)
		}
		if run = withNewline(p); run == nil {
			parts = append(parts, p, newline)
		}
	}
	if run != nil {
		parts = append(parts, run)
	}
	return destination.NewBody(parts...)
}

// withNewline returns p and the line end behind it, nil when there is none.
func withNewline(p []byte) []byte {
	if n := len(p); cap(p) > n {
		if line := p[:n+1]; line[n] == '\n' {
			return line
		}
	}
	return nil
}

// extend returns run and p with its line end as one slice, when p begins where
// run ends.
func extend(run, p []byte) ([]byte, bool) {
	n := len(run)
	if n == 0 || len(p) == 0 || cap(run) < n+len(p)+1 {
		return nil, false
	}
	longer := run[:n+len(p)+1]
	if &longer[n] != &p[0] || longer[n+len(p)] != '\n' {
		return nil, false
	}
	return longer, true
}

var arrayOpen, arrayComma, arrayClose = []byte{'['}, []byte{','}, []byte{']'}

// array returns the events as a JSON array.
func array(events []destination.Event) *destination.Body {
	parts := make([][]byte, 0, 2*len(events)+1)
	separator := arrayOpen
	for i := range events {
		parts = append(parts, separator, events[i].Payload)
		separator = arrayComma
	}
	return destination.NewBody(append(parts, arrayClose)...)
}
