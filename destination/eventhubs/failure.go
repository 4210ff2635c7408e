package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/sluicelog/sluice/destination"
)

// How long a service is left alone that asks for it without saying how long.
const (
	busyPause  = 4 * time.Second // as the vendor's libraries do
	quotaPause = time.Minute
)

// verdict is what a condition of the service means.
type verdict struct {
	class destination.Class
	words string
	pause time.Duration
	large bool // refused for its size
}

// conditions are those of AMQP 1.0 and of the vendor
// (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-troubleshoot)
// that say more than "try again".
var conditions = map[amqp.ErrCond]verdict{
	amqp.ErrCondUnauthorizedAccess: {class: destination.Misconfigured,
		words: "the credentials are refused, or their policy lacks the right Send: check the connection string and the policy"},
	amqp.ErrCondNotFound: {class: destination.Misconfigured,
		words: "there is no event hub of this name in the namespace: check the name"},
	"com.microsoft:entity-disabled": {class: destination.Misconfigured,
		words: "the event hub is disabled: set its status to Active in the portal"},
	"com.microsoft:argument-out-of-range": {class: destination.Misconfigured, words: "the event hub refuses an argument as out of range"},
	amqp.ErrCondNotAllowed:                {class: destination.Misconfigured, words: "this is not allowed here: check the event hub and its policy"},
	amqp.ErrCondNotImplemented:            {class: destination.Misconfigured, words: "the destination does not offer this: is it an event hub?"},
	amqp.ErrCondResourceDeleted:           {class: destination.Misconfigured, words: "the event hub was deleted"},
	"com.microsoft:server-busy": {class: destination.Unavailable, pause: busyPause,
		words: "the service is busy, or the throughput of the namespace is used up: add throughput units when this goes on"},
	amqp.ErrCondResourceLimitExceeded: {class: destination.Unavailable, pause: quotaPause,
		words: "a quota of the event hub is used up"},
	amqp.ErrCondConnectionForced:        {class: destination.Unavailable, words: "the service closed the connection"},
	amqp.ErrCondDetachForced:            {class: destination.Unavailable, words: "the service closed the link"},
	amqp.ErrCondInternalError:           {class: destination.Unavailable, words: "the service reports an internal error"},
	"com.microsoft:timeout":             {class: destination.Unavailable, words: "the service did not store the events in time"},
	"com.microsoft:operation-cancelled": {class: destination.Unavailable, words: "the service broke off"},
	amqp.ErrCondMessageSizeExceeded:     {class: destination.RejectedBatch, large: true, words: "the events are too large for the event hub"},
	"com.microsoft:argument-error":      {class: destination.RejectedBatch, words: "the event hub refuses the content"},
	amqp.ErrCondDecodeError:             {class: destination.RejectedBatch, words: "the event hub refuses the content"},
	amqp.ErrCondInvalidField:            {class: destination.RejectedBatch, words: "the event hub refuses the content"},
	amqp.ErrCondPreconditionFailed:      {class: destination.RejectedBatch, words: "the event hub refuses the content"},
}

// dialError is a connection that could not be made. It says that the library
// must not try again, and, as it wraps nothing, comes out of it unchanged: the
// library would hide the causes of network errors.
type dialError struct{ fault *destination.Error }

func (e dialError) Error() string { return e.fault.Error() }

// NonRetriable tells the library not to try again.
func (dialError) NonRetriable() {}

// judge turns an error of the library into the one for owners; nil stays nil.
func (s *session) judge(ctx context.Context, err error) *destination.Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[dialError](err); ok {
		return e.fault
	}
	if ctx.Err() != nil {
		return destination.Classify(ctx.Err())
	}
	if name, words, ok := condition(err); ok {
		return s.fromCondition(name, words)
	}
	if code, words, ok := answer(err); ok {
		return s.fromAnswer(code, words)
	}
	cause := s.cause()
	switch {
	case cause == nil || errors.Is(cause, net.ErrClosed):
		return s.lostConnection(err)
	case ours(cause):
		return &destination.Error{Class: destination.Unavailable, Message: cause.Error()}
	}
	return destination.Classify(cause)
}

// ownWords is what the library puts in front of an error, a code of its own and
// the addresses of our socket.
var ownWords = regexp.MustCompile(`^\([a-z]+\): |\b(?:read|write|dial) (?:tcp|udp)\S* \S+: `)

// lostConnection is for errors whose cause is not known. Their text is the
// library's, and about this side.
func (s *session) lostConnection(err error) *destination.Error {
	e := &destination.Error{Class: destination.Unavailable, Message: "the connection was lost before the service answered"}
	text := ownWords.ReplaceAllString(err.Error(), "")
	if words := s.redact.Words([]byte(text)); words != "" && !strings.Contains(text, net.ErrClosed.Error()) {
		e.Message += " (" + words + ")"
	}
	return e
}

func ours(err error) bool {
	return errors.Is(err, errNotAccepted) || errors.Is(err, errFrameSize) || errors.Is(err, errProtocol)
}

func (s *session) fromCondition(name amqp.ErrCond, words string) *destination.Error {
	v, ok := conditions[name]
	if !ok {
		v = verdict{class: destination.Unavailable, words: "the service answered with an error"}
	}
	e := &destination.Error{Class: v.class, RetryAfter: v.pause, TooLarge: v.large, Message: v.words}
	if barred.MatchString(words) {
		e = &destination.Error{Class: destination.Misconfigured, Message: barredWords}
	}
	return s.said(e, fmt.Sprintf("%s %s", name, words))
}

// barred matches what the service says of a connection that its firewall does not
// let in, whoever it is from
// (https://learn.microsoft.com/azure/event-hubs/troubleshooting-guide).
var barred = regexp.MustCompile(`(?i)\bip has been prevented|\bip filter|\bprivate ?(endpoint|link)|\bpublic ?(network ?)?access`)

const barredWords = "the firewall of the namespace does not let this server in: allow the addresses that Sluice sends from under Networking, " +
	"or have Sluice reach the private endpoint; the connection string is not to blame"

// fromAnswer judges the status with which the service answered the token.
func (s *session) fromAnswer(code int, words string) *destination.Error {
	e := &destination.Error{Class: destination.Misconfigured, Status: code}
	switch {
	case barred.MatchString(words):
		e.Message = barredWords
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Message = "the credentials are refused: check the connection string, whether the key was replaced, and this server's clock"
	case code == http.StatusNotFound:
		e.Message = conditions[amqp.ErrCondNotFound].words
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		e.Class, e.RetryAfter = destination.Unavailable, busyPause
		e.Message = "the service could not check the credentials just now"
	default:
		e.Message = "the service refuses the credentials"
	}
	return s.said(e, fmt.Sprintf("%d %s", code, words))
}

func (s *session) said(e *destination.Error, words string) *destination.Error {
	if words := s.redact.Words([]byte(words)); words != "" {
		e.Message += "; it said: " + words
	}
	return e
}

// The library wraps errors that cost it a link or the connection in one that
// unwraps to nothing. Its text holds what the library prints of the cause.
var (
	conditionText = regexp.MustCompile(`(?s)\*Error\{Condition: ([^,{}]*), Description: (.*), Info: `)
	answerText    = regexp.MustCompile(`(?s)status code (\d{3}) and description: (.*)`)
)

// condition returns the condition and the description that the service gave.
func condition(err error) (name amqp.ErrCond, words string, ok bool) {
	if e, ok := errors.AsType[*amqp.Error](err); ok {
		return e.Condition, e.Description, true
	}
	if m := conditionText.FindStringSubmatch(err.Error()); m != nil {
		return amqp.ErrCond(m[1]), m[2], true
	}
	return "", "", false
}

// answer returns the status and the words of the answer to a token.
func answer(err error) (code int, words string, ok bool) {
	m := answerText.FindStringSubmatch(err.Error())
	if m == nil {
		return 0, "", false
	}
	code, _ = strconv.Atoi(m[1]) // three digits
	return code, m[2], true
}
