package web

import (
	"strings"

	"github.com/sluicelog/sluice"
)

// pageWords puts a message of the API into the words of the pages.
func pageWords(text string) string {
	return strings.NewReplacer(
		"filter: namespaces has", "groups or projects: it has", "filter: ", "",
		"another stream of the namespace", "another stream here", "the namespace has others below it", "the group or project has others below it",
		"the namespace has", "there are", "a namespace has", "an enterprise or group has", "only groups have namespaces below them", "only groups have others below them",
		"namespace must be a top-level namespace", "this must be an enterprise or group", "namespace must name an enterprise", "this must name an enterprise",
		"bound to a namespace", "bound to an enterprise or group", "leave namespace out", "leave it out", "the namespace of the installation", "that of the installation",
		"a top-level namespace", "an enterprise or group", "top-level namespace", "enterprise or group", "namespaces", "groups or projects", "namespace", "group or project",
		"segments", "parts", "segment", "part", "rate_limit", "the limit", "expires_at", "the end", "until must be later than start", "the end must be later than the start", "until must", "the end must",
		"the stream's until", "the end of the stream",
	).Replace(text)
}

// stageWords names a stage of a check for people.
func stageWords(name string) string {
	words := map[string]string{
		"resolve": "Find the address", "connect": "Connect", "tls": "Encrypt (TLS)", "authenticate": "Sign in", "accept": "Take a test event",
	}[name]
	if words == "" {
		return name
	}
	return words
}

// told is what a page says of an error.
func told(e *sluice.Error) formProblem {
	return formProblem{Message: sentence(pageWords(e.Message)), Hint: sentence(pageWords(e.Hint))}
}
