package control

import "github.com/sluicelog/sluice/index"

// PhraseError says what is wrong with a phrase, and where: see
// [index.PhraseError].
type PhraseError = index.PhraseError

// CheckPhrase returns what is wrong with a phrase, a [*PhraseError], or nil.
func CheckPhrase(phrase string) error {
	_, err := index.ParsePhrase(phrase)
	return err
}

// PhraseQualifiers lists what may stand before a colon in a phrase.
func PhraseQualifiers() []string { return index.Qualifiers() }
