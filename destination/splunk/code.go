package splunk

import (
	"fmt"
	"net/http"

	"github.com/sluicelog/sluice/destination"
)

// Codes of the collector that decide something beside the class of an error
// (https://help.splunk.com/en/splunk-enterprise/get-data-in/get-started-with-getting-data-in,
// "Troubleshoot HTTP Event Collector").
const (
	codeSuccess         = 0
	codeInvalidToken    = 4
	codeNoData          = 5
	codeInvalidFormat   = 6
	codeChannelMissing  = 10
	codeChannelInvalid  = 11
	codeAckDisabled     = 14
	codeHealthy         = 17
	codeChannelFull     = 27
	codeChannelRequired = 28 // as 10, in Splunk Cloud
)

// meaning is what a code says about who must act, and how.
type meaning struct {
	class  destination.Class
	advice string
}

var meanings = map[int]meaning{
	1:                {destination.Misconfigured, "the token is disabled: enable it in Splunk, or enter another one"},
	2:                {destination.Misconfigured, "it saw no token: a proxy in between may take the Authorization header away"},
	3:                {destination.Misconfigured, "it does not understand the Authorization header: a proxy in between may change it"},
	codeInvalidToken: {destination.Misconfigured, "it does not know the token: copy the token's value from Splunk again"},

	codeNoData: {destination.Misconfigured, "the request was empty when it arrived: a proxy in between may take the body away"},

	codeInvalidFormat: {destination.RejectedBatch, "it cannot read an event"},
	7: {destination.Misconfigured, "the token may not write to this index, or there is no such index: " +
		"add the index to the token's allowed indexes, or change the stream's index"},
	8: {destination.Unavailable, "it has an error of its own; sending goes on later"},
	9: {destination.Unavailable, "it is busy; sending goes on later"},

	codeChannelMissing:  {destination.Misconfigured, "it asks for a channel although it was given one: a proxy in between may take the header X-Splunk-Request-Channel away"},
	codeChannelInvalid:  {destination.Misconfigured, "it does not take the channel it was given: look at its settings for HTTP Event Collector"},
	codeChannelRequired: {destination.Misconfigured, "it asks for a channel although it was given one: a proxy in between may take the header X-Splunk-Request-Channel away"},

	12: {destination.RejectedBatch, "it sees no event in a frame"},
	13: {destination.RejectedBatch, "it takes an event for blank"},
	codeAckDisabled: {destination.Misconfigured, "the token has no indexer acknowledgement: enable it for the token in Splunk, " +
		"or set indexer_ack to auto or off"},
	15: {destination.RejectedBatch, "it cannot index a field of an event"},
	16: {destination.Misconfigured, "it looks for the token in the query: a proxy in between may rewrite requests"},
	18: {destination.Unavailable, "its queues are full; sending goes on later"},
	19: {destination.Unavailable, "its acknowledgement service is not available; sending goes on later"},
	20: {destination.Unavailable, "its queues are full and its acknowledgement service is not available; sending goes on later"},
	23: {destination.Unavailable, "it is shutting down; sending goes on later"},
	26: {destination.Unavailable, "its queue is at capacity; sending goes on later"},

	codeChannelFull: {destination.Unavailable, "its acknowledgement channel is at capacity; sending goes on later"},
}

// credible reports whether a code is one of the collector's. Other protocols have
// such a field in their errors, gateways of gRPC for example, whose 5 is "not
// found" and whose 13 and 14 mean that something is out of order. What blames the
// owner or an event therefore has to come with the status of HTTP that the
// collector gives it, or with a success.
func (c *Collector) credible(a *answer) bool {
	m, known := meanings[*a.Code]
	if !known || m.class == destination.Unavailable {
		return true
	}
	e := destination.FromStatus(a.status, a.header, nil, c.now(), nil)
	switch {
	case e == nil, e.Class == destination.RejectedBatch:
		return true
	case *a.Code <= codeInvalidToken:
		return e.Class == m.class
	}
	return false
}

// judge returns the error that an answer is, by its code first and then by its
// HTTP status; nil when the collector accepted. A success in HTTP that does not
// say so is none.
func (c *Collector) judge(a *answer) *destination.Error {
	if a.coded {
		if *a.Code == codeSuccess && a.success() {
			return nil
		}
		if m, ok := meanings[*a.Code]; ok {
			return c.coded(a, m)
		}
	}
	if e := destination.FromStatus(a.status, a.header, a.body, c.now(), a.redact); e != nil {
		return e
	}
	if a.coded {
		return c.coded(a, meaning{destination.Unavailable, "that is no acceptance; sending goes on later"})
	}
	return misconfigured(a.status, fmt.Sprintf("the destination answered %d, but not as an HTTP Event Collector does: "+
		"check domain, port and path; it said: %s", a.status, a.redact.Words(a.body)))
}

func (c *Collector) coded(a *answer, m meaning) *destination.Error {
	e := &destination.Error{
		Class: m.class, Status: a.status,
		TooLarge: m.class == destination.RejectedBatch && a.status == http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("the collector answered %d with code %d (%s): %s",
			a.status, *a.Code, a.redact.Words([]byte(a.Text)), m.advice),
	}
	if m.class == destination.Unavailable && !a.success() {
		// Retry-After is read for statuses that mean the same.
		e.RetryAfter = destination.FromStatus(http.StatusServiceUnavailable, a.header, nil, c.now(), nil).RetryAfter
	}
	return e
}
