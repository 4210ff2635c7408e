// Package indexkill kills a process again and again while it indexes a log, and
// compares what a search finds with every event that the log has.
//
// The victim is the test binary, started again on the same files: a log of
// segments to which it appends, and an index of small chunks, so that sealing,
// expiry and retention happen many times a second. It says on its standard output
// what it is about to do, so that it can be killed in the middle of that. Some
// lives begin without the index, or with a damaged one.
//
// Before a life goes on, it waits until its index has caught up and compares: what
// the log has is read block after block, and each event is understood by means of
// its own, not those of the index. Whatever pages, counts and exports of a phrase
// have must be that, in order, and once.
package indexkill
