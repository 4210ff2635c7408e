// Package crash lets the server die at every point that package failpoint names,
// and judges from outside what the next start makes of it.
//
// A play makes the server come by some of the points: it posts events, creates,
// renames and deletes streams, turns sealing keys, damages an index. The server is
// built with the points in it, and with a few waits and sizes made small, so that
// what happens once an hour happens at once. It dies at the arrival that it was
// told; the play goes on with a server that was told none, and repeats what had no
// answer, as any client would.
//
// In the end, whatever the point was, the same is to be true: every event is in
// the log once and at every receiver, with the bytes that were posted; the ledgers
// say so; each deed was told once; names can be used again; a token works or does
// not; and the start after that has nothing to complain of. Then the server is
// stopped and started once more, and all of it has to be true again.
//
// A point without a play fails the test, and so does a play that does not come by
// its points. Package oracle, with which the same points are met under load, knows
// more about order and about what is in flight; here is every point.
package crash
