package cloudlogging

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// limited are the reasons that mean too much at a time, whatever the status.
var limited = map[string]bool{"RATE_LIMIT_EXCEEDED": true, "RESOURCE_QUOTA_EXCEEDED": true}

// advice says what an owner can do about an error, by the reason of its
// ErrorInfo (https://cloud.google.com/apis/design/errors#error_info) and else by
// its status.
func (w *Writer) advice(e apiError, reason string) string {
	project, email := w.config.ProjectID, w.config.ClientEmail
	switch reason {
	case "SERVICE_DISABLED":
		return "the Cloud Logging API is not enabled in the project " + project + ": enable it and wait a few minutes"
	case "BILLING_DISABLED":
		return "billing is disabled for the project " + project + ": enable it in Google Cloud"
	case "IAM_PERMISSION_DENIED":
		return "grant the service account " + email + " the role Logs Writer in the project " + project
	case "CONSUMER_INVALID", "CONSUMER_SUSPENDED", "RESOURCE_PROJECT_INVALID", "USER_PROJECT_DENIED":
		return "the project " + project + " does not exist, is suspended or was deleted: check project_id"
	case "SECURITY_POLICY_VIOLATED", "ORG_RESTRICTION_VIOLATION", "LOCATION_ORG_POLICY_VIOLATED":
		return "a policy of your organization in Google Cloud forbids it"
	case "ACCOUNT_STATE_INVALID":
		return "the service account " + email + " is disabled or was deleted: enable it or enter another key"
	}
	switch e.Status {
	case "UNAUTHENTICATED":
		return "it does not accept the access token: check that the service account " + email + " is enabled"
	case "PERMISSION_DENIED":
		return "grant the service account " + email + " the role Logs Writer in the project " + project +
			", and check that the project exists and the Cloud Logging API is enabled"
	case "NOT_FOUND":
		return "there is no project " + project + ": check project_id"
	case "RESOURCE_EXHAUSTED":
		return "a quota of the project " + project + " is used up; sending goes on later"
	case "FAILED_PRECONDITION", "UNIMPLEMENTED":
		return "it cannot take entries as the project " + project + " is set up"
	case "INVALID_ARGUMENT", "OUT_OF_RANGE", "ALREADY_EXISTS":
		return "it refuses the content"
	}
	return "it has a difficulty of its own; sending goes on later"
}

// maxSkew is how far clocks may be apart before it is worth a word.
const maxSkew = time.Minute

// later are the errors of OAuth that go away by themselves.
var later = map[string]bool{
	"temporarily_unavailable": true, "server_error": true, "internal_failure": true, "slow_down": true, "rate_limit_exceeded": true,
}

// tokenRefused judges an answer of the token endpoint that holds no token
// (RFC 6749, 5.2). Nothing that it says is about events: what is not a passing
// difficulty is the owner's.
func tokenRefused(t *tokens, x *tokenExchange) *destination.Error {
	e := destination.FromStatus(x.status, x.header, x.body, t.now(), x.redact)
	if e.Class == destination.RejectedBatch {
		e.Class = destination.Misconfigured
	}
	e.TooLarge = false
	var told struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(x.body, &told) != nil || told.Error == "" {
		e.Message = "the token endpoint: " + e.Message
		return e
	}
	if later[told.Error] {
		e.Class = destination.Unavailable
	}
	advice := "check the service account and its key"
	switch {
	case e.Class == destination.Unavailable:
		advice = "it has a difficulty of its own; sending goes on later"
	case told.Error == "invalid_grant":
		advice = grantAdvice(t.account.email, told.Description)
	}
	e.Message = fmt.Sprintf("the token endpoint answered %d %s: %s%s", x.status, x.redact.Words([]byte(told.Error)), advice, skew(x.header, t.now()))
	if said := x.redact.Words([]byte(told.Description)); said != "" {
		e.Message += "; it said: " + said
	}
	return e
}

// grantAdvice reads the words behind invalid_grant: one code for a key that was
// deleted, an account that was, and a clock that is wrong.
func grantAdvice(email, description string) string {
	d := strings.ToLower(description)
	switch {
	case strings.Contains(d, "signature"):
		return "the private key is not, or no longer, one of the service account " + email + ": create a JSON key and enter it"
	case strings.Contains(d, "account not found"), strings.Contains(d, "not a valid email"):
		return "there is no service account " + email + ": check client_email"
	case strings.Contains(d, "timeframe"), strings.Contains(d, "short-lived"):
		return "the clock of this server is wrong: set it"
	}
	return "the key was deleted, the service account " + email + " is disabled or gone, or the clock of this server is wrong"
}

// skew says how far this server's clock is from the far side's, when it matters.
func skew(h http.Header, now time.Time) string {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return ""
	}
	switch off := now.Sub(date).Round(time.Minute); {
	case off > maxSkew:
		return fmt.Sprintf(" (the clock of this server is about %s ahead of Google's)", off)
	case off < -maxSkew:
		return fmt.Sprintf(" (the clock of this server is about %s behind Google's)", -off)
	}
	return ""
}
