package sluice

// Ledger is the exact account of what became of the events of a stream, at one
// moment:
//
//	Accepted = Delivered + Filtered + Pending + Quarantined + Expired
type Ledger struct {
	// Accepted counts events whose namespace is in the stream's scope, after
	// its start and up to its until.
	Accepted uint64 `json:"accepted"`
	// Delivered counts events that the destination accepted: never attempts.
	Delivered uint64 `json:"delivered"`
	// Filtered counts events that were examined and not wanted.
	Filtered uint64 `json:"filtered"`
	// Pending counts the rest, examined or not.
	Pending uint64 `json:"pending"`
	// Quarantined counts events that the destination refused as such and that
	// wait to be redelivered or dropped.
	Quarantined uint64 `json:"quarantined"`
	// Expired counts events that left without delivery: by retention, by damage
	// or loss of the log, or by a person's drop.
	Expired uint64 `json:"expired"`
}

// Add adds o to l: a stream's ledger is the sum over its partitions.
func (l *Ledger) Add(o Ledger) {
	l.Accepted += o.Accepted
	l.Delivered += o.Delivered
	l.Filtered += o.Filtered
	l.Pending += o.Pending
	l.Quarantined += o.Quarantined
	l.Expired += o.Expired
}

// Balanced reports whether the account adds up.
func (l *Ledger) Balanced() bool {
	return l.Accepted == l.Delivered+l.Filtered+l.Pending+l.Quarantined+l.Expired
}
