package graphql

import (
	"context"
	"errors"
	"regexp"
	"strings"

	gqlerrors "github.com/graph-gophers/graphql-go/errors"

	"github.com/sluicelog/sluice"
)

// Texts that GitLab's clients compare.
const (
	textNotFound = "The resource that you are attempting to access does not exist or you don't have permission to perform this action"
	textDenied   = "You do not have access to this mutation."
	textGet      = "Mutations are forbidden in GET requests"
	textInternal = "the server failed to do this; it may have been done in part"
)

// errNotFound is the answer for what is not there, and for what is not for the
// caller to see.
func errNotFound() error { return &topLevel{textNotFound} }

func queryErrors(message string) []*gqlerrors.QueryError {
	return []*gqlerrors.QueryError{{Message: message}}
}

func asError(err error) *sluice.Error {
	if e, ok := errors.AsType[*sluice.Error](err); ok {
		return e
	}
	return &sluice.Error{Code: sluice.Internal, Message: textInternal}
}

// judge turns an error of control into what a payload lists, or into an error of
// the whole field.
func (a *API) judge(ctx context.Context, err error) (list []string, whole error) {
	if err == nil {
		return nil, nil
	}
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		if ctx.Err() == nil {
			a.logger.ErrorContext(ctx, "mutation failed", "err", err)
		}
		return nil, errors.New(textInternal)
	}
	switch e.Code {
	case sluice.Invalid, sluice.Conflict, sluice.TooLarge, sluice.Unsupported:
		text := e.Message
		if e.Hint != "" {
			text += " (" + e.Hint + ")"
		}
		return []string{text}, nil
	case sluice.NotFound, sluice.Forbidden, sluice.Unauthorized:
		return nil, errNotFound()
	}
	return nil, errors.New(e.Message)
}

// topLevel is an error of the whole field, whatever it is about.
type topLevel struct{ text string }

func (e *topLevel) Error() string { return e.text }

// hide returns nil for errors of a read that the caller may not make: GitLab
// answers null there.
func (a *API) hide(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*sluice.Error](err)
	switch {
	case !ok:
		if ctx.Err() == nil {
			a.logger.ErrorContext(ctx, "query failed", "err", err)
		}
		return errors.New(textInternal)
	case e.Code == sluice.NotFound || e.Code == sluice.Forbidden || e.Code == sluice.Unauthorized:
		return nil
	}
	return errors.New(e.Message)
}

var headerPath = regexp.MustCompile(`config\.headers\[\d+\]\.`)

// legacyNames are the names that fields have in the legacy generation.
func legacyNames(text string) string {
	text = headerPath.ReplaceAllString(text, "header ")
	return strings.NewReplacer("config.url", "destinationUrl", "config.project_id", "googleProjectIdName",
		"config.client_email", "clientEmail", "config.log_id", "logIdName", "config.bucket", "bucketName", "config.region", "awsRegion",
		"config.access_key_id", "accessKeyXid", "secrets.verification_token", "verificationToken", "secrets.private_key", "privateKey",
		"secrets.secret_access_key", "secretAccessKey", "header name", "key", "header value", "value").Replace(text)
}

// consolidatedNames are the names that fields have in the consolidated
// generation.
func consolidatedNames(text string) string {
	text = headerPath.ReplaceAllString(text, "config.headers ")
	return strings.NewReplacer("config.project_id", "config.googleProjectIdName", "config.client_email", "config.clientEmail",
		"config.log_id", "config.logIdName", "config.bucket", "config.bucketName", "config.region", "config.awsRegion",
		"config.access_key_id", "config.accessKeyXid", "secrets.verification_token", "secretToken", "secrets.private_key", "secretToken",
		"secrets.secret_access_key", "secretToken").Replace(text)
}
