package s3

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/sluicelog/sluice/destination"
)

// verdict is what an error code means and what an owner can do about it.
type verdict struct {
	class  destination.Class
	advice string
}

const (
	codePreconditionFailed = "PreconditionFailed"
	codeNotImplemented     = "NotImplemented"
	codeEntityTooLarge     = "EntityTooLarge"

	wait = destination.Unavailable
	hold = destination.Misconfigured
)

// verdicts holds the codes of Amazon S3 and of servers like it (Amazon S3 API
// Reference, "List of error codes"). Others are judged by their status.
var verdicts = map[string]verdict{
	"NoSuchBucket":       {hold, "the bucket does not exist: check its name, region and endpoint"},
	"InvalidBucketName":  {hold, "the bucket cannot have this name: check it"},
	"AccessDenied":       {hold, "the access key may not put objects here: it needs s3:PutObject, and the use of the bucket's key when it encrypts with one"},
	"AllAccessDisabled":  {hold, "access to the bucket was disabled: ask its provider"},
	"AccountProblem":     {hold, "there is a problem with the account: ask its provider"},
	"InvalidRequest":     {hold, "the bucket does not take such objects: look at its settings for locking and encryption"},
	"InvalidObjectState": {hold, "the bucket does not take such objects: look at its settings"},
	"MethodNotAllowed":   {hold, "it does not store objects: check the endpoint"},
	codeNotImplemented:   {hold, "it does not offer what is needed to store objects: check the endpoint"},
	codeEntityTooLarge:   {destination.RejectedBatch, "the object is too large for it: raise the limit of the server or of the proxy in front of it"},

	"InvalidAccessKeyId":    {hold, unknownKey},
	"XAdminUserNotFound":    {hold, unknownKey}, // versitygw
	"SignatureDoesNotMatch": {hold, "the secret access key does not belong to the access key ID: enter both again"},
	"ExpiredToken":          {hold, "the access key has expired: enter a new one"},
	"InvalidToken":          {hold, "the access key is not accepted: enter one that belongs to a user, not to a session"},
	"RequestTimeTooSkewed":  {hold, "the clocks differ by more than 15 minutes: set the clock of this server, or of the other one"},

	"PermanentRedirect":                  {hold, wrongRegion},
	"TemporaryRedirect":                  {hold, wrongRegion},
	"AuthorizationHeaderMalformed":       {hold, wrongRegion},
	"IllegalLocationConstraintException": {hold, wrongRegion},

	"BadDigest":                   {wait, damagedWords},
	"InvalidDigest":               {wait, damagedWords},
	"IncompleteBody":              {wait, damagedWords},
	"XAmzContentSHA256Mismatch":   {wait, damagedWords},
	"XAmzContentChecksumMismatch": {wait, damagedWords}, // MinIO

	"SlowDown":                   {wait, busyWords},
	"ServiceUnavailable":         {wait, busyWords},
	"InternalError":              {wait, busyWords},
	"RequestTimeout":             {wait, busyWords},
	"OperationAborted":           {wait, busyWords},
	"ConditionalRequestConflict": {wait, busyWords},
	"Throttling":                 {wait, busyWords},
	"ThrottlingException":        {wait, busyWords}, // of the service that keeps the bucket's key, whatever the status
	"KMS.ThrottlingException":    {wait, busyWords},
	"RequestLimitExceeded":       {wait, busyWords},
	"TooManyRequests":            {wait, busyWords},
	"ServerBusy":                 {wait, busyWords},
}

const (
	unknownKey   = "it does not know the access key: check the access key ID"
	wrongRegion  = "the bucket lies in another region: leave out the region, or correct it"
	damagedWords = "the content was damaged on the way; it is sent again"
	busyWords    = "it is busy; the object is stored later"
)

// maxDamaged answers in a row that the content was damaged mean that something
// in between changes it.
const maxDamaged = 3

// outcome judges the answer to a PutObject. Nil means that the object is there.
func (b *Bucket) outcome(x *exchange, region string, conditional bool) *destination.Error {
	if x.err != nil {
		return destination.Classify(x.err)
	}
	a, _ := x.answer()
	if strange := b.strange(x); strange != nil {
		return strange
	}
	if x.delivered() || conditional && (a.Code == codePreconditionFailed || x.status == http.StatusPreconditionFailed) {
		b.damaged.Store(0)
		return nil
	}
	err := b.judge(x)
	switch verdicts[a.Code].advice {
	case wrongRegion:
		b.relearn(x, region, err)
	case damagedWords:
		if b.damaged.Add(1) >= maxDamaged {
			err.Class = destination.Misconfigured
			err.Message = "each time, the content arrives damaged: something between here and the bucket changes it; " + err.Message
		}
		return err
	}
	b.damaged.Store(0)
	if conditional && a.Code == codeNotImplemented {
		b.unconditional.Store(true)
		err.Class = destination.Unavailable
		err.Message = "it does not know the condition If-None-Match: objects are stored without it from now on"
	}
	return err
}

// strange judges an answer whose status says that the object is there, when the
// rest of it does not bear that out: PutObject is answered with nothing but a
// header. A page comes from somebody else, and what broke off may have been a
// failure's. Nil for all others.
func (b *Bucket) strange(x *exchange) *destination.Error {
	there := x.status >= 200 && x.status <= 299 || x.status == http.StatusPreconditionFailed
	switch {
	case !there || !x.bare():
		return nil
	case !x.whole:
		return &destination.Error{Class: destination.Unavailable, Status: x.status,
			Message: "the answer broke off or did not end: whether the object was stored is not known, so it is stored again"}
	}
	return &destination.Error{Class: destination.Misconfigured, Status: x.status,
		Message: fmt.Sprintf("%s answered %d, but not as an S3 server does: check the endpoint, and whether something in between answers for it; it said: %s",
			b.host(), x.status, b.redact.Words(signature.ReplaceAll(x.body, []byte("$1***"))))}
}

// relearn takes up the region that a refusal names. A configured one is the
// owner's to correct.
func (b *Bucket) relearn(x *exchange, region string, err *destination.Error) {
	told := x.regionTold()
	switch {
	case told == "" || told == region:
	case b.config.Region != "":
		err.Message = fmt.Sprintf("the bucket lies in the region %s, not %s: correct the region, or leave it out; %s", told, region, err.Message)
	default:
		b.setRegion(told)
		err.Class = destination.Unavailable
		err.Message = fmt.Sprintf("the bucket lies in the region %s: it is tried there next", told)
	}
}

// judge turns an answer that is no acceptance into an error.
func (b *Bucket) judge(x *exchange) *destination.Error {
	a, known := x.answer()
	status := x.status
	if known && status <= 299 {
		status = http.StatusInternalServerError // Amazon's rule for a failure that comes with 200
	}
	if !known {
		return destination.FromStatus(status, x.header, signature.ReplaceAll(x.body, []byte("$1***")), b.now(), b.redact)
	}
	words := []byte(strings.TrimSpace(a.Code + ": " + a.Message))
	err := destination.FromStatus(status, x.header, words, b.now(), b.redact)
	v, listed := verdicts[a.Code]
	if !listed && strings.HasPrefix(a.Code, "KMS.") {
		v, listed = verdict{destination.Misconfigured, "the bucket's encryption key cannot be used: check that it is enabled and that the access key may use it"}, true
	}
	if !listed || err == nil {
		return err
	}
	err.TooLarge = a.Code == codeEntityTooLarge
	if err.Class = v.class; err.Class != destination.Unavailable {
		err.RetryAfter = 0
	}
	err.Message = fmt.Sprintf("%s answered %d: %s; it said: %s", b.host(), x.status, v.advice, b.redact.Words(words))
	return err
}

// signature is what answers repeat of the header that authorizes a request: for
// some minutes, it could be used again.
var signature = regexp.MustCompile(`(Signature=|SignatureProvided>)[0-9a-fA-F]+`)
