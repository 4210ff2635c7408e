// Package sluice holds the nouns of Sluice: event and envelope, namespace,
// filter, stream, ledger, and the errors that every surface turns into answers.
//
// It imports the standard library only, and every other package may import it.
// An event is a JSON object that is read once, in one pass, when it comes in
// (see [Scanner]); from then on its bytes never change and what is known of it
// is its [Envelope].
package sluice
